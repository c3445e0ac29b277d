package policytest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy/policytest"
	"github.com/meshctl/meshctl/pkg/report"
)

// FuzzParse: no text panics; a fault has a place in the file; what can be read
// can be run, and gives each case a status.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		three, oddCases, "", "cases: [{name: a, from: [*a], to: &a x}]", "tokens: {t: {claims: &c {a: *c}}}\ncases: []",
		"defaults: {tcp: [true, false], http2: true}\nidentities: {a: {plaintext: true, ip: ::1}}\ncases: [{name: a, from: a, to: svc/web.shop:http, headers: {x: [a, b]}, expect: deny, by: none}]",
		"invariants: []\ncases: [{name: b, from: shop/web, to: deploy/web.shop, port: 8080, grpc: true, expect: unknown, by: shop/readers#0}]\n---\nkind: x",
	} {
		f.Add(header + seed)
	}
	s := snapshot(f, shop)
	f.Fuzz(func(t *testing.T, text string) {
		files, err := parse(text)
		if err != nil {
			checkPlaced(t, err)
			return
		}
		var suites []policytest.Suite
		for _, file := range files {
			suites = append(suites, policytest.Suite{File: file, Mesh: s, Namespace: "shop"})
		}
		r, err := policytest.Run(context.Background(), suites, policytest.Options{})
		if err != nil {
			checkPlaced(t, err)
			return
		}
		for _, suite := range r.Suites {
			for _, c := range suite.Cases {
				if c.Status == "" || c.Name == "" || c.Location.Line == 0 || (c.Status == report.Passed) != (len(c.Unmet()) == 0) {
					t.Errorf("%+v", c)
				}
			}
		}
	})
}

func checkPlaced(t *testing.T, err error) {
	t.Helper()
	var input *report.InputError
	if !errors.As(err, &input) || !strings.HasPrefix(input.Location.File, "t.meshtest.yaml") {
		t.Errorf("no place: %v", err)
	}
}
