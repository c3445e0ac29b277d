package iptables_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/inject/iptables"
)

// cases are typical pods. Each has a golden in testdata.
func cases() map[string]struct {
	args string
	env  map[string]string
} {
	const base = "istio-iptables -p 15001 -z 15006 -u 1337 "
	type c = struct {
		args string
		env  map[string]string
	}
	return map[string]c{
		"default":  {base + "-m REDIRECT -i * -x  -b * -d 15090,15021,15020 --log_output_level=default:info", nil},
		"ports":    {base + "-m REDIRECT -i * -x  -b 80,443 -d 15090,15021 -o 3306,6379", nil},
		"cidrs":    {base + "-m REDIRECT -i 10.0.0.0/8,fd00::/8 -x 10.1.0.0/16 -b * -d 15090,15021,15020 -q 8443", nil},
		"tproxy":   {base + "-m TPROXY -i * -x  -b * -d 15090,15021,15020", nil},
		"none":     {base + "-m NONE -i * -x  -b * -d 15090", nil},
		"nothing":  {base + "-m REDIRECT -i  -x  -b  -d 15090,15021,15020", nil},
		"dns":      {base + "-m REDIRECT -i * -x  -b * -d 15090,15021,15020", map[string]string{"ISTIO_META_DNS_CAPTURE": "true"}},
		"virtual":  {base + "-m REDIRECT -i * -x  -b * -d 15090 -k net1,net2 -c eth9", nil},
		"groups":   {base + "-m REDIRECT -i * -x  -b * -d 15090", map[string]string{"ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE": "202,203", "INVALID_DROP": "true"}},
		"uidcheck": {base + "-m REDIRECT -i * -x  -b * -d 15090 --run-validation --skip-rule-apply", map[string]string{"ISTIO_OUTBOUND_OWNER_GROUPS": "1000"}},
	}
}

var update = flag.Bool("update", false, "write the goldens anew")

func parse(t *testing.T, args string, env map[string]string) iptables.Config {
	t.Helper()
	config, err := iptables.Parse(strings.Split(args, " "), env)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// TestGoldens pins the rules (INJ-102, INJ-103, INJ-104) and what bypasses
// them (INJ-106).
func TestGoldens(t *testing.T) {
	t.Parallel()
	for name, c := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := parse(t, c.args, c.env)
			var out bytes.Buffer
			for _, family := range []iptables.Family{iptables.IPv4, iptables.IPv6} {
				out.WriteString("# " + string(family) + "\n")
				if err := iptables.Write(&out, config.Rules(family)); err != nil {
					t.Fatal(err)
				}
			}
			for _, b := range config.Bypasses() {
				out.WriteString(string(b.Direction) + ": " + b.Traffic + ": " + b.Why + "\n")
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("(-golden +got):\n%s", diff)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-p x":                `flag -p: value "x": expected a port, 1 to 65535`,
		"-d 80,99999":         `flag -d: value "80,99999": expected a port, 1 to 65535`,
		"-i 10.0.0.1":         `flag -i: value "10.0.0.1": expected a CIDR such as 10.0.0.0/8`,
		"-m BOTH":             `flag -m: value "BOTH": expected REDIRECT, TPROXY or NONE`,
		"-u root":             `flag -u: value "root": expected a numeric ID`,
		"-c a;reboot":         `flag -c: value "a;reboot": expected only letters, digits and the marks _-.+@: in it`,
		"-b":                  `flag -b: value missing`,
		"sleep 1":             `argument "sleep": expected a flag of istio-iptables`,
		"-k abcdefghijklmnop": `flag -k: value "abcdefghijklmnop": expected an interface name of at most 15 characters`,
	} {
		if _, err := iptables.Parse(strings.Split(args, " "), nil); err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %v, want %s", args, err, want)
		}
	}
}

func TestLongFlags(t *testing.T) {
	t.Parallel()
	short := parse(t, "-p 15001 -b * -m REDIRECT", nil)
	long := parse(t, "--envoy-port=15001 --istio-inbound-ports=* --istio-inbound-interception-mode REDIRECT", nil)
	if diff := cmp.Diff(short, long); diff != "" {
		t.Errorf("long flags differ:\n%s", diff)
	}
}

// TestRulesLoad loads every case's rules in a network namespace of its own,
// where the machine allows that, and counts what the kernel took.
func TestRulesLoad(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"iptables-nft", "iptables-legacy"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			restore, err := exec.LookPath(backend + "-restore")
			if err != nil {
				t.Skipf("%s is not installed", backend)
			}
			inNamespace := func(script, input string) (string, error) {
				c := exec.Command("unshare", "-n", "sh", "-c", script)
				c.Stdin = strings.NewReader(input)
				out, err := c.CombinedOutput()
				return string(out), err
			}
			if out, err := inNamespace(restore, "*nat\n-N PROBE\n-A PROBE -p tcp -j REDIRECT --to-ports 1\nCOMMIT\n"); err != nil {
				t.Skipf("the kernel does not load rules in a network namespace: %v: %s", err, out)
			}
			for name, c := range cases() {
				var text bytes.Buffer
				set := parse(t, c.args, c.env).Rules(iptables.IPv4)
				if err := iptables.Write(&text, set); err != nil {
					t.Fatal(err)
				}
				out, err := inNamespace(restore+" && "+backend+"-save", text.String())
				if err != nil {
					t.Errorf("%s: %v: %s", name, err, out)
					continue
				}
				if got := strings.Count(out, "\n-A "); got != len(set.Rules) {
					t.Errorf("%s: the kernel has %d rules, want %d:\n%s", name, got, len(set.Rules), out)
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range cases() {
		f.Add(c.args)
	}
	f.Fuzz(func(t *testing.T, args string) {
		config, err := iptables.Parse(strings.Split(args, " "), nil)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := iptables.Write(&out, config.Rules(iptables.IPv4)); err != nil {
			t.Error(err)
		}
		for _, b := range config.Bypasses() {
			if b.Traffic == "" || b.Why == "" {
				t.Errorf("%q: a bypass without words: %+v", args, b)
			}
		}
	})
}
