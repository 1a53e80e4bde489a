package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../../.."

// The page tells every module that is linked into the programs, as it is now.
func TestThePageIsTrue(t *testing.T) {
	t.Parallel()
	want, err := write(t.Context(), root)
	require.NoError(t, err)
	is, err := os.ReadFile(filepath.Join(root, page))
	require.NoError(t, err)
	require.Equal(t, string(want), string(is), "run go run ./pkg/build/dependencies")
}

func TestLicences(t *testing.T) {
	t.Parallel()
	apache, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	require.NoError(t, err)
	for name, test := range map[string]struct {
		files         map[string]string
		want, refused string
	}{
		"known":      {map[string]string{"LICENSE": string(apache)}, "Apache-2.0", ""},
		"two":        {map[string]string{"License.md": string(apache), "COPYING": isc}, "Apache-2.0 AND ISC", ""},
		"forbidden":  {map[string]string{"LICENSE.txt": agpl}, "", "AGPL-3.0-or-later is not among"},
		"added to":   {map[string]string{"LICENSE": isc + surprise}, "", "is a known licence"},
		"unknown":    {map[string]string{"LICENSE": surprise}, "", "is a known licence"},
		"none":       {map[string]string{"README.md": isc}, "", "has no licence"},
		"in no file": {nil, "", "has no licence"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, text := range test.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
			}
			licence, err := licenceOf(module{Path: "example.com/m", Dir: dir})
			if test.refused != "" {
				require.ErrorContains(t, err, test.refused)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, licence)
		})
	}
}

// What nobody has decided is an error, not a row.
func TestReasons(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkReason(module{Path: "gorm.io/gorm"}, true))
	require.NoError(t, checkReason(module{Path: "go.uber.org/goleak"}, false))
	require.ErrorContains(t, checkReason(module{Path: "example.com/new"}, true), "what for?")
	require.ErrorContains(t, checkReason(module{Path: "gorm.io/gorm"}, false), "is in no program")
}

const (
	isc = `Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby
granted, provided that the above copyright notice and this permission notice appear in all copies. THE SOFTWARE IS
PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES
OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR
CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF
CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS
SOFTWARE.`
	agpl = `This program is free software: you can redistribute it and/or modify it under the terms of the GNU Affero
General Public License as published by the Free Software Foundation, either version 3 of the License, or (at your
option) any later version. This program is distributed in the hope that it will be useful, but WITHOUT ANY WARRANTY;
without even the implied warranty of MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE. See the GNU Affero General
Public License for more details.`
	surprise = `
Whoever links this into a program gives us a tenth of what the program earns, every month, in coins, in a bag, at the
back door of our office, and says thank you. Whoever does not will be visited by a lawyer who sings. We may change these
terms on any day whose name has a y in it, and will tell nobody about it, least of all those whom it concerns.`
)
