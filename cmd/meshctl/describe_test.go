package main

import (
	"context"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// TestDescribeFlags and TestPolicyExplainFlags: what is asked for, and what
// cannot be meant.
func TestDescribeFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, err string }{
		{"shop/web -f a", ""},
		{"shop/web --from-cluster -o yaml", ""},
		{"", "expected one workload, such as shop/web or deploy/web.shop, got 0"},
		{"a b -f a", "expected one workload, such as shop/web or deploy/web.shop, got 2"},
		{"shop/web", "no input: give -f FILE, DIRECTORY, ADDRESS or -, or -k DIRECTORY"},
		{"shop/web -f a -o tabel", `output "tabel": expected table, json or yaml: did you mean table?`},
		{"shop/web -f a --from-cluster", "--from-cluster and manifests exclude each other"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			var got *describeWorkloadOptions
			cmd := newDescribeWorkloadCmd(genericiooptions.NewTestIOStreamsDiscard(), func(_ context.Context, o *describeWorkloadOptions) error {
				got = o
				return nil
			})
			if err := parse(cmd, strings.Fields(tt.args)...); err != tt.err {
				t.Fatalf("error %q, want %q", err, tt.err)
			}
			if tt.err == "" && got.workload != "shop/web" || tt.err != "" && got != nil {
				t.Errorf("asked for %+v", got)
			}
		})
	}
}

func TestPolicyExplainFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, err string }{
		{"ap/web.shop -f a", ""},
		{"ap/web.shop --from-cluster -o json", ""},
		{"-f a", "expected one POLICY or WORKLOAD, such as ap/web.shop or deploy/web.shop, got 0"},
		{"a b -f a", "expected one POLICY or WORKLOAD, such as ap/web.shop or deploy/web.shop, got 2"},
		{"ap/web.shop", "no input: give -f FILE, DIRECTORY, ADDRESS or -, or -k DIRECTORY"},
		{"ap/web.shop -f a -o table", `output "table": expected text, json or yaml`},
		{"ap/web.shop -f a -n b -A", "--namespace and --all-namespaces exclude each other"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			var got *policyExplainOptions
			cmd := newPolicyExplainCmd(genericiooptions.NewTestIOStreamsDiscard(), func(_ context.Context, o *policyExplainOptions) error {
				got = o
				return nil
			})
			if err := parse(cmd, strings.Fields(tt.args)...); err != tt.err {
				t.Fatalf("error %q, want %q", err, tt.err)
			}
			if tt.err == "" && got.subject != "ap/web.shop" || tt.err != "" && got != nil {
				t.Errorf("asked for %+v", got)
			}
		})
	}
}
