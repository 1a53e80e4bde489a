# Outlives the process that started it, on purpose. Standard input is a pipe that only that process holds: each line
# names the server that runs now (empty: none does), and its end means that the process is gone, however it died.
# $1 is the number of the signal that stops the server, $2 a directory to remove afterwards (empty: none).
trap '' HUP INT QUIT TERM
pid=
while read -r line; do pid=$line; done

alive() {
	kill -0 "$pid" 2>/dev/null || return 1
	# An ended child that nobody has waited for yet still answers to kill -0.
	[ -r "/proc/$pid/stat" ] || return 0
	read -r _ _ state _ <"/proc/$pid/stat" 2>/dev/null || return 1
	[ "$state" != Z ]
}

if [ -n "$pid" ]; then
	kill -"$1" "$pid" 2>/dev/null
	tries=0
	while alive && [ "$tries" -lt 300 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	alive && kill -KILL "$pid" 2>/dev/null
fi

if [ -n "$2" ]; then
	# The children of a killed server may write for a moment longer.
	tries=0
	until rm -rf -- "$2" 2>/dev/null || [ "$tries" -ge 50 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
fi
