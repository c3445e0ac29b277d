package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestCADiskFull: on a small file system that is full nothing is issued and nothing
// lost; with room again the next command works (CA-60, CA-61).
func TestCADiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.Command("unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted here: %v: %s", err, out)
	}
	meshctl, err := exec.LookPath("meshctl")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("unshare", "--mount", "--map-root-user", "sh", "-eu", "-c", diskFull, "sh", dir, t.TempDir(), meshctl)
	c.Env = append(os.Environ(), "KUBECONFIG=/nonexistent")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"issuance log: nothing was issued", "no space left on device", "the log is whole: 3 records", "the log is whole: 43 records", "full: 40 certificates"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s lacks %q", out, want)
		}
	}
	if strings.Contains(string(out), "WRONG") {
		t.Errorf("%s", out)
	}
}

// diskFull gets a directory to mount on, one with room, and meshctl. What is to be
// issued is longer than what may be left of the log's last page.
const diskFull = `
mount -t tmpfs -o size=256k tmpfs "$1"
meshctl=$3
accounts=
for i in $(seq 40); do accounts="$accounts --sa a$i"; done
$meshctl ca init --no-encrypt --dir "$1/ca"
$meshctl ca issue --dir "$1/ca" --ns shop --sa web -o files="$2/out"

cat /dev/zero > "$1/filler" 2>/dev/null || true
$meshctl ca issue --dir "$1/ca" --ns shop $accounts -o files="$2/more" && echo "WRONG: issued"
[ -e "$2/more/shop" ] && echo "WRONG: something left"
$meshctl ca log verify --dir "$1/ca"
$meshctl cert verify "$2/out"

rm "$1/filler"
$meshctl ca issue --dir "$1/ca" --ns shop $accounts -o files="$2/more"
$meshctl ca log verify --dir "$1/ca"
echo "full: $(ls "$2/more/shop" | wc -l) certificates"

# The same where certificates are to go.
mv "$1/ca" "$2/ca"
cat /dev/zero > "$1/filler" 2>/dev/null || true
$meshctl ca issue --dir "$2/ca" --ns shop $accounts -o files="$1/more" && echo "WRONG: delivered"
[ -e "$1/more/shop/a1/cert-chain.pem" ] && [ ! -e "$1/more/shop/a1/key.pem" ] && echo "WRONG: half a folder"
rm "$1/filler"
$meshctl ca log verify --dir "$2/ca"
$meshctl ca issue --dir "$2/ca" --ns shop --sa web --renew -o files="$1/more"
`
