package disclosure

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
)

// FileVariable names the file in which all processes of a run record their secrets,
// one spelling per line, quoted. Unset, each process knows its own only.
const FileVariable = "TXN_TEST_SECRETS"

// shortest is the length from which a secret is looked for: a shorter one, such as
// the passwords that some tests write literally, would be found in plain words.
const shortest = 16

// forms are how secrets look that nobody has to record: an API key has 38 symbols
// behind its prefix, and an id 26; a signing secret has at least 24 bytes.
var forms = regexp.MustCompile(`\btxn_[0-9A-Za-z]{38}\b|\bwhsec_[0-9A-Za-z+/]{32,}={0,2}`)

// known are the spellings of the secrets of this process.
var known = struct {
	sync.RWMutex
	*index
}{index: newIndex()}

// Record makes secrets known: API keys, signing secrets with their prefix,
// passwords, and encryption keys in base64. They are found in other spellings, too.
func Record(secrets ...string) error {
	var lines strings.Builder
	known.Lock()
	for _, secret := range secrets {
		for _, spelling := range spellings(secret) {
			if known.add(spelling) {
				fmt.Fprintf(&lines, "%q\n", spelling)
			}
		}
	}
	known.Unlock()
	path := os.Getenv(FileVariable)
	if path == "" || lines.Len() == 0 {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := file.WriteString(lines.String()); err != nil { // one write, so that lines of several processes do not mix
		return err
	}
	return file.Close()
}

// Learn records the secrets that stand in a text which is meant to have them, such
// as the answer that issues a key.
func Learn(text string) error { return Record(forms.FindAllString(text, -1)...) }

// RecordPassword records the password in a URL.
func RecordPassword(address string) error {
	parsed, err := url.Parse(address)
	if err != nil {
		return err
	}
	if password, has := parsed.User.Password(); has {
		return Record(password)
	}
	return nil
}

// spellings are the ways in which a secret may get out.
func spellings(secret string) []string {
	encoded, signing := strings.CutPrefix(secret, "whsec_")
	all := []string{encoded}
	if key, is := strings.CutPrefix(secret, "txn_"); is {
		all = []string{key}
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err == nil && (signing || len(raw) == 32) {
		all = append(all, string(raw), hex.EncodeToString(raw), strings.Trim(fmt.Sprintf("%d", raw), "[]"))
	}
	return all
}
