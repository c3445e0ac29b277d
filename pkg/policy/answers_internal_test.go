package policy

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestAppendVerdicts: a verdict is written as encoding/json writes it.
func TestAppendVerdicts(t *testing.T) {
	t.Parallel()
	var verdicts []Verdict
	for seed := range uint64(5000) {
		d := dice{rand.New(rand.NewPCG(seed, 8))}
		text := func() string {
			return d.pick("", "", "plain", "ns[a]-policy[b]-rule[0]", `a "quoted" \ text`, "<a>&", "ä\u2028", "\x00\t\x7f", "\xff")
		}
		shadow := func() *Shadow {
			return []*Shadow{nil, {Result: text(), By: text()}}[d.IntN(2)]
		}
		zero, one := 0, 16
		verdicts = append(verdicts, Verdict{
			ID: text(), Outcome: Outcome(text()), HTTPStatus: 403 * d.IntN(2), GRPCStatus: []*int{nil, &zero, &one}[d.IntN(3)], By: text(), Custom: text(),
			DryRun: []*DryRun{nil, {Allow: shadow(), Deny: shadow()}}[d.IntN(2)], Stage: StageName(text()), Reason: text(), Rule: &Rule{},
		})
	}
	var got, want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	for i := range verdicts {
		if err := encoder.Encode(&verdicts[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range verdicts {
		got.Write(append(verdicts[i].appendJSON(nil), '\n'))
	}
	if got.String() != want.String() {
		t.Errorf("written\n%s\nwant\n%s", got.String(), want.String())
	}
	for of, fields := range map[any]int{Verdict{}: 10, DryRun{}: 2, Shadow{}: 2} {
		if n := reflect.TypeOf(of).NumField(); n != fields {
			t.Errorf("%T has %d fields, of which %d are written: tell appendJSON", of, n, fields)
		}
	}
}
