package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

func newDescribeCmd(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "describe",
		Short:   "Tell what applies to a workload",
		Example: "  meshctl describe workload shop/web -f manifests/",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(newDescribeWorkloadCmd(streams, nil))
	return cmd
}

type describeWorkloadOptions struct {
	streams  genericiooptions.IOStreams
	snapshot snapshotFlags
	output   formatFlag[policy.Description]
	workload string
}

func newDescribeWorkloadCmd(streams genericiooptions.IOStreams, runF func(context.Context, *describeWorkloadOptions) error) *cobra.Command {
	o := &describeWorkloadOptions{streams: streams}
	o.output.formats = descriptionFormats()
	cmd := &cobra.Command{
		Use:   "workload NAMESPACE/NAME|KIND/NAME.NAMESPACE -f FILE|DIRECTORY|ADDRESS|-",
		Short: "Tell who a workload is, how it is reached, and which policies hold there",
		Long: `Tell of a workload its identity, whether it has a sidecar and what decides that,
its Services, the mTLS mode of each port with the policy that sets it, its
RequestAuthentications and AuthorizationPolicies, and which DestinationRules of
its clients do not go with it. Each line names its place.

Exit status: 0 described; 2 the input cannot be read, or there is no such
workload.`,
		Example: `  meshctl describe workload shop/web -f manifests/
  meshctl describe workload deploy/web.shop -f manifests/ --mesh-config mesh.yaml -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef(cmd, "expected one workload, such as shop/web or deploy/web.shop, got %d", len(args))
			}
			o.workload = args[0]
			if err := o.snapshot.complete(cmd); err != nil {
				return err
			}
			if err := o.output.validate(cmd); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.run(cmd.Context())
		},
	}
	o.snapshot.register(cmd)
	o.output.register(cmd.Flags())
	return cmd
}

func (o *describeWorkloadOptions) run(ctx context.Context) error {
	snapshot, err := o.snapshot.load(ctx, o.streams)
	if err != nil {
		return err
	}
	w, err := snapshot.FindWorkload(o.workload, o.snapshot.defaultNamespace())
	if err != nil {
		return err
	}
	return o.output.emit(o.streams.Out, policy.NewSimulator(snapshot).Describe(w))
}

func descriptionFormats() []format[policy.Description] {
	type document struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		policy.Description
	}
	const kind = "WorkloadDescription"
	return []format[policy.Description]{
		{"table", printDescription},
		{"json", func(w io.Writer, d policy.Description) error { return printer.JSON(w, document{apiVersion, kind, d}) }},
		{"yaml", func(w io.Writer, d policy.Description) error { return printer.YAML(w, document{apiVersion, kind, d}) }},
	}
}

// printDescription writes who the workload is, then a part for each kind of
// thing that applies to it.
func printDescription(w io.Writer, d policy.Description) error {
	identity := d.Identity
	switch {
	case identity != "":
	case d.ServiceAccount == "":
		identity = "none"
	default:
		identity = "none; the service account is " + d.ServiceAccount
	}
	sidecar := "no"
	switch {
	case d.Injection.Gateway:
		sidecar = "a gateway, what its own listeners do is not told here"
	case d.Injection.Sidecar:
		sidecar = "yes"
	}
	sidecar += ": " + d.Injection.Because + placed(d.Injection.At)
	if err := printer.Lines(w, d.Workload+placed(d.At), "", "Identity  "+identity, "Sidecar   "+sidecar); err != nil {
		return err
	}
	for _, part := range descriptionParts(d) {
		if err := part.print(w); err != nil {
			return err
		}
	}
	return nil
}

// part is a table under a heading, or what is said in place of an empty one.
type part struct {
	title   string
	headers []string
	rows    [][]string
	empty   string
}

func (p part) print(w io.Writer) error {
	if len(p.rows) == 0 {
		return printer.Lines(w, "", p.title+": "+p.empty)
	}
	if err := printer.Lines(w, "", p.title); err != nil {
		return err
	}
	var text strings.Builder
	if err := printer.Table(&text, p.headers, p.rows); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if err := printer.Lines(w, "  "+strings.TrimSuffix(line, "\n")); err != nil {
			return err
		}
	}
	return nil
}

func descriptionParts(d policy.Description) []part {
	all := []part{servicesPart(d)}
	if d.Injection.Sidecar && !d.Injection.Gateway {
		all = append(all, portsPart(d), tokensPart(d), policiesPart(d))
	}
	if !d.Injection.Gateway {
		all = append(all, collisionsPart(d))
	}
	return all
}

func servicesPart(d policy.Description) part {
	p := part{title: "Services", headers: []string{"HOST", "PORT", "TARGET", "PROTOCOL", "AT"}, empty: "none selects it"}
	for _, s := range d.Services {
		for _, port := range s.Ports {
			number, target := fmt.Sprint(port.Port), fmt.Sprint(port.Target)
			if port.Name != "" {
				number += " (" + port.Name + ")"
			}
			if port.Target == 0 {
				target = "none"
			}
			p.rows = append(p.rows, []string{s.Host, number, target, protocolText(port.Protocol, port.Traffic), s.At.String()})
		}
	}
	return p
}

func protocolText(p mesh.Protocol, traffic mesh.Traffic) string {
	if traffic == mesh.SniffedTraffic && p != mesh.UDP {
		return "sniffed"
	}
	return string(p)
}

func portsPart(d policy.Description) part {
	p := part{title: "Mutual TLS", headers: []string{"PORT", "PROTOCOL", "MODE", "SET BY"}}
	for _, port := range d.Ports {
		number, protocol, mode, by := fmt.Sprint(port.Port), protocolText(port.Protocol, port.Traffic), string(port.Mode), "default"
		if port.Port == 0 {
			number = "others"
		} else if port.Service == "" {
			protocol += ", in no Service"
		}
		if port.By != nil {
			by = port.By.String()
		}
		if port.Bypass != "" {
			mode, by = "none", "bypasses the sidecar: "+port.Bypass
		}
		p.rows = append(p.rows, []string{number, protocol, mode, by})
	}
	return p
}

func tokensPart(d policy.Description) part {
	p := part{title: "Request authentication", headers: []string{"ISSUER", "AUDIENCES", "SET BY", "KEYS", "TOKEN IN"}, empty: "none, tokens are not looked at"}
	for _, t := range d.Tokens {
		issuer, audiences, keys := t.Issuer, strings.Join(t.Audiences, ", "), t.KeysFrom
		if t.JWKSURI != "" {
			keys = t.JWKSURI
		}
		if issuer == "" {
			issuer = "any"
		}
		if audiences == "" {
			audiences = "any"
		}
		switch {
		case t.Unusable != "":
			keys += ": " + t.Unusable
		case t.Unknown:
			keys += " (not in the files)"
		}
		var places []string
		for _, l := range t.Locations {
			places = append(places, l.String())
		}
		p.rows = append(p.rows, []string{issuer, audiences, t.Policy.String(), keys, strings.Join(places, ", ")})
	}
	return p
}

func policiesPart(d policy.Description) part {
	p := part{title: "Authorization", headers: []string{"ACTION", "POLICY", "AT", "RULE"}, empty: "no policy, every request is allowed"}
	for _, a := range d.Policies {
		action := a.Action
		if a.DryRun {
			action += " (dry run)"
		}
		name, at := strings.TrimPrefix(a.Policy.Object, "AuthorizationPolicy "), a.Policy.At.String()
		switch {
		case a.Unusable != "":
			p.rows = append(p.rows, []string{action, name, at, "asks nobody: " + a.Unusable})
		case a.Provider != "":
			p.rows = append(p.rows, []string{action, name, at, "asks " + a.Provider})
		}
		if len(a.Rules) == 0 {
			p.rows = append(p.rows, []string{action, name, at, "none: it matches nothing"})
		}
		for i, rule := range a.Rules {
			p.rows = append(p.rows, []string{action, name, rule.At.String(), fmt.Sprintf("%d %s", i, rule.Text)})
			if rule.OnTCP != "" {
				p.rows = append(p.rows, []string{"", "", "", "  " + rule.OnTCP})
			}
		}
	}
	return p
}

func collisionsPart(d policy.Description) part {
	p := part{title: "Clients that do not go with it", headers: []string{"CLIENTS", "CALL", "PORT", "RESULT", "WHY"}, empty: "none in the files"}
	for _, c := range d.Collisions {
		call := fmt.Sprintf("%s:%d", c.Service, c.Port)
		if c.Subset != "" {
			call += " subset " + c.Subset
		}
		result := "works, but"
		if c.Fails {
			result = "fails"
		}
		why := c.Why
		if c.By != nil {
			why += "; " + c.By.String()
		}
		p.rows = append(p.rows, []string{strings.Join(c.Clients, ", "), call, fmt.Sprint(c.Target), result, why})
	}
	return p
}
