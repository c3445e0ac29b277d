package validation

import (
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
	"strings"

	extensions "istio.io/api/extensions/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	telemetry "istio.io/api/telemetry/v1alpha1"
)

// envoyFilter checks an EnvoyFilter.
func (c *checker) envoyFilter(at path, f *networking.EnvoyFilter) {
	if f.WorkloadSelector != nil {
		if len(f.TargetRefs) > 0 {
			c.refuse(at, "only one of workloadSelector and targetRefs can be given")
		}
		c.workloadSelector(at, f.WorkloadSelector)
	}
	for i, ref := range f.TargetRefs {
		c.target(ref, at.item("targetRefs", i))
	}
	for i, p := range f.ConfigPatches {
		c.configPatch(at.item("configPatches", i), p)
	}
}

func (c *checker) configPatch(at path, p *networking.EnvoyFilter_EnvoyConfigObjectPatch) {
	if p.GetApplyTo() == networking.EnvoyFilter_INVALID {
		c.refuse(at, "a patch of nothing: give it applyTo, such as HTTP_FILTER")
	}
	switch patch := p.GetPatch(); {
	case patch == nil:
		c.refuse(at, "a patch that changes nothing: give it patch")
	case patch.Operation == networking.EnvoyFilter_Patch_INVALID:
		c.refuse(at.to("patch"), "a patch without an operation: give it one, such as MERGE")
	case patch.Operation != networking.EnvoyFilter_Patch_REMOVE && patch.Value == nil:
		c.refuse(at.to("patch"), "operation %s without a value: give it one", patch.Operation)
	}
	version := p.GetMatch().GetProxy().GetProxyVersion()
	if _, err := regexp.Compile(version); err != nil {
		c.refuse(at.to("match", "proxy", "proxyVersion"), `%q is no regular expression: expected such as ^1\.30.*`, version)
	}
	c.patchMatch(at.to("match"), p)
}

// patchMatch checks that a patch looks for the kind of thing that it changes.
func (c *checker) patchMatch(at path, p *networking.EnvoyFilter_EnvoyConfigObjectPatch) {
	found := ""
	switch p.GetMatch().GetObjectTypes().(type) {
	case *networking.EnvoyFilter_EnvoyConfigObjectMatch_Listener:
		found = "listener"
	case *networking.EnvoyFilter_EnvoyConfigObjectMatch_RouteConfiguration:
		found = "routeConfiguration"
	case *networking.EnvoyFilter_EnvoyConfigObjectMatch_Cluster:
		found = "cluster"
	}
	want := map[networking.EnvoyFilter_ApplyTo]string{
		networking.EnvoyFilter_LISTENER: "listener", networking.EnvoyFilter_LISTENER_FILTER: "listener", networking.EnvoyFilter_FILTER_CHAIN: "listener",
		networking.EnvoyFilter_NETWORK_FILTER: "listener", networking.EnvoyFilter_HTTP_FILTER: "listener", networking.EnvoyFilter_CLUSTER: "cluster",
		networking.EnvoyFilter_ROUTE_CONFIGURATION: "routeConfiguration", networking.EnvoyFilter_VIRTUAL_HOST: "routeConfiguration", networking.EnvoyFilter_HTTP_ROUTE: "routeConfiguration",
	}[p.GetApplyTo()]
	if found != "" && want != "" && found != want {
		c.refuse(at.to(found), "applyTo %s cannot be found by a %s: match a %s", p.ApplyTo, found, want)
	}
}

// telemetry checks a Telemetry.
func (c *checker) telemetry(at path, t *telemetry.Telemetry) {
	c.selection(t.Selector, t.TargetRef, t.TargetRefs)
	for i, tracing := range t.Tracing {
		c.tracing(at.item("tracing", i), tracing)
	}
	for i, m := range t.Metrics {
		item := at.item("metrics", i)
		c.providers(item, m.GetProviders())
		c.optionalDuration(item.to("reportingInterval"), m.GetReportingInterval())
		for j, o := range m.GetOverrides() {
			c.tagOverrides(item.item("overrides", j), o)
		}
	}
	for i, l := range t.AccessLogging {
		c.providers(at.item("accessLogging", i), l.GetProviders())
	}
}

// providers leaves empty names to IST0157, which warns of them.
func (c *checker) providers(at path, all []*telemetry.ProviderRef) {
	for i, p := range all {
		if p == nil {
			c.refuse(at.item("providers", i), "an empty provider: name it or take it away")
		}
	}
}

func (c *checker) tracing(at path, t *telemetry.Tracing) {
	if len(t.GetProviders()) > 1 {
		c.refuse(at.to("providers"), "%d providers, and spans go to one only: keep one", len(t.Providers))
	}
	c.providers(at, t.GetProviders())
	if n := t.GetRandomSamplingPercentage().GetValue(); n < 0 || n > 100 {
		c.refuse(at.to("randomSamplingPercentage"), "%v is no percentage: expected 0 to 100", n)
	}
	for _, name := range sortedKeys(t.GetCustomTags()) {
		item := at.to("customTags", name)
		c.named(item, "tag", name)
		switch tag := t.CustomTags[name].GetType().(type) {
		case *telemetry.Tracing_CustomTag_Literal:
			c.named(item.to("literal"), "value", tag.Literal.GetValue())
		case *telemetry.Tracing_CustomTag_Header:
			c.named(item.to("header"), "name of a header", tag.Header.GetName())
		case *telemetry.Tracing_CustomTag_Environment:
			c.named(item.to("environment"), "name of a variable", tag.Environment.GetName())
		case nil:
			c.refuse(item, "a tag without a value: give it literal, header or environment")
		}
	}
}

func (c *checker) tagOverrides(at path, o *telemetry.MetricsOverrides) {
	for _, name := range sortedKeys(o.GetTagOverrides()) {
		tag, item := o.TagOverrides[name], at.to("tagOverrides", name)
		c.named(item, "tag", name)
		switch removes := tag.GetOperation() == telemetry.MetricsOverrides_TagOverride_REMOVE; {
		case removes && tag.GetValue() != "":
			c.refuse(item.to("value"), "a tag that is removed has no value: take it away")
		case !removes && tag.GetValue() == "":
			c.refuse(item, "a tag without a value: give it one")
		}
	}
}

// wasmPlugin checks a WasmPlugin.
func (c *checker) wasmPlugin(at path, p *extensions.WasmPlugin) {
	c.selection(p.Selector, p.TargetRef, p.TargetRefs)
	u, err := url.Parse(p.Url)
	switch {
	case p.Url == "":
		c.refuse(at, "a plugin from nowhere: give it url")
	case err != nil || !slices.Contains([]string{"", "file", "http", "https", "oci"}, u.Scheme):
		c.refuse(at.to("url"), "%q: expected oci://, https:// or file://", p.Url)
	}
	if sum := p.Sha256; sum != "" {
		if _, err := hex.DecodeString(sum); err != nil || len(sum) != 64 || strings.ToLower(sum) != sum {
			c.refuse(at.to("sha256"), "%q is no SHA-256 sum: expected 64 digits of 0-9 and a-f", sum)
		}
	}
	seen := map[string]bool{}
	for i, v := range p.GetVmConfig().GetEnv() {
		item := at.to("vmConfig").item("env", i)
		c.named(item, "variable", v.GetName())
		if seen[v.GetName()] {
			c.refuse(item.to("name"), "variable %q is there twice: keep one", v.GetName())
		}
		seen[v.GetName()] = true
		if v.GetValueFrom() == extensions.EnvValueSource_HOST && v.GetValue() != "" {
			c.refuse(item.to("value"), "a variable of the host has no value here: take it away")
		}
	}
}
