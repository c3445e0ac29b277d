package envoy_test

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// checkLaws holds a configuration to what is true of all: Envoy's own rules for
// every message and what is packed in it, names that are not given twice,
// matches that are not given twice in a listener, routes that are there where a
// listener asks for them, and endpoints for the clusters that want them (EC-145).
func checkLaws(t testing.TB, c *envoy.Config) {
	t.Helper()
	names := map[string]bool{}
	once := func(kind, name string) {
		if names[kind+" "+name] {
			t.Errorf("%s %s is there twice", kind, name)
		}
		names[kind+" "+name] = true
	}
	for _, l := range c.Listeners {
		once(l.TrafficDirection.String()+" listener", l.Name)
		checkValid(t, l)
		matches := map[string]bool{}
		for _, chain := range l.FilterChains {
			key := chain.FilterChainMatch.String()
			if matches[key] {
				t.Errorf("listener %s has two chains for %s", l.Name, key)
			}
			matches[key] = true
		}
	}
	for _, x := range c.Clusters {
		once("cluster", x.Name)
		checkValid(t, x)
	}
	for _, r := range c.Routes {
		once("route", r.Name)
		checkValid(t, r)
		domains := map[string]bool{}
		for _, h := range r.VirtualHosts {
			once("route "+r.Name+" host", h.Name)
			for _, d := range h.Domains {
				if domains[d] {
					t.Errorf("routes %s have two hosts for %s", r.Name, d)
				}
				domains[d] = true
			}
		}
	}
	for _, e := range c.Endpoints {
		once("endpoints", e.ClusterName)
		checkValid(t, e)
	}
	for _, x := range c.Clusters {
		if x.EdsClusterConfig != nil != names["endpoints "+x.Name] {
			t.Errorf("cluster %s: endpoints and their listing do not go together", x.Name)
		}
	}
	for _, l := range c.Listeners {
		if l.TrafficDirection != corev3.TrafficDirection_OUTBOUND {
			continue
		}
		for _, chain := range l.FilterChains {
			if text := chainText(t, chain); len(text) > 4 && text[len(text)-4:] == "rds " {
				t.Errorf("listener %s asks for no routes by name", l.Name)
			}
		}
	}
}

// checkValid runs the rules that are generated from Envoy's own definitions, on
// a message and on all that is packed in it.
func checkValid(t testing.TB, m proto.Message) {
	t.Helper()
	if v, ok := m.(interface{ ValidateAll() error }); !ok {
		t.Errorf("%T has no rules", m)
	} else if err := v.ValidateAll(); err != nil {
		t.Errorf("%v", err)
	}
	eachAny(m.ProtoReflect(), func(a *anypb.Any) {
		inner, err := a.UnmarshalNew()
		if err != nil {
			t.Error(err)
			return
		}
		checkValid(t, inner)
	})
}

func eachAny(m protoreflect.Message, visit func(*anypb.Any)) {
	if a, ok := m.Interface().(*anypb.Any); ok {
		visit(a)
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				eachAny(v.List().Get(i).Message(), visit)
			}
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				eachAny(v.Message(), visit)
				return true
			})
		case !f.IsList() && !f.IsMap() && f.Message() != nil:
			eachAny(v.Message(), visit)
		}
		return true
	})
}
