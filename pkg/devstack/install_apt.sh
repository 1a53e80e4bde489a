# Runs as root: installs the Debian packages "$@" without the servers that they would set up and start by default.
set -eu
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1

undo=:
trap 'eval "$undo"' EXIT
trap 'exit 130' HUP INT TERM

# Debian's own way to keep packages from starting services: invoke-rc.d asks this program.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	undo="rm -f $policy; $undo"
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

# And PostgreSQL's, to keep the package from creating a cluster.
conf=/etc/postgresql-common/createcluster.conf
template=/usr/share/postgresql-common/createcluster.conf
if [ -e "$conf" ]; then
	cp -p "$conf" "$conf.txn-saved"
	undo="mv -f $conf.txn-saved $conf; $undo"
else
	mkdir -p "${conf%/*}"
	undo="rm -f $conf.ucf-dist; if [ -e $template ]; then cp $template $conf; else rm -f $conf; rmdir ${conf%/*} 2>/dev/null || :; fi; $undo"
fi
echo 'create_main_cluster = false' >>"$conf"

install() {
	apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
}
install "$@" || {
	apt-get update -o DPkg::Lock::Timeout=120
	install "$@"
}

# Nor is the service of the package wanted after the next boot.
if [ "$1" = redis-server ] && command -v systemctl >/dev/null 2>&1; then
	systemctl disable redis-server.service >/dev/null 2>&1 || :
fi
