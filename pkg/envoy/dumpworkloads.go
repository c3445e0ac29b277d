package envoy

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// workloadMark ends the workload's name in those of its parts where one Envoy runs
// several (Static).
const workloadMark = "|"

// perWorkload takes apart what an Envoy tells that runs the sidecars of several
// workloads. Any other configuration is one.
func (d *Dump) perWorkload() []*Dump {
	parts := map[string]*Dump{}
	part := func(name string) *Dump {
		workload, _, ok := strings.Cut(name, workloadMark)
		if !ok || strings.Count(workload, "/") != 1 {
			return nil
		}
		if parts[workload] == nil {
			parts[workload] = &Dump{Config: Config{Workload: workload}, Notes: d.Notes, Secrets: d.Secrets, Extensions: d.Extensions, Unread: map[string]bool{}}
		}
		return parts[workload]
	}
	names := slices.Collect(maps.Keys(d.Unread))
	for _, l := range d.Listeners {
		names = append(names, l.Name)
	}
	for _, c := range d.Clusters {
		names = append(names, c.Name)
	}
	for _, e := range d.Endpoints {
		names = append(names, e.ClusterName)
	}
	if len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return part(name) == nil }) {
		return []*Dump{d}
	}
	for _, l := range d.Listeners {
		p := part(l.Name)
		p.Listeners = append(p.Listeners, unmarked(l, p.Workload))
	}
	for _, c := range d.Clusters {
		p := part(c.Name)
		p.Clusters = append(p.Clusters, unmarked(c, p.Workload))
	}
	for _, e := range d.Endpoints {
		p := part(e.ClusterName)
		p.Endpoints = append(p.Endpoints, unmarked(e, p.Workload))
	}
	for name := range d.Unread {
		p := part(name)
		p.Unread[strings.TrimPrefix(name, p.Workload+workloadMark)] = true
	}
	var all []*Dump
	for _, workload := range slices.Sorted(maps.Keys(parts)) {
		all = append(all, parts[workload])
	}
	return all
}

// unmarked is a message in which no name has the workload's mark.
func unmarked[M proto.Message](m M, workload string) M {
	own := proto.Clone(m).(M)
	eachText(own.ProtoReflect(), func(text string) string { return strings.TrimPrefix(text, workload+workloadMark) })
	return own
}

// eachText changes the texts of a message and of what is packed in it. What is of
// a type that is not known here stays.
func eachText(m protoreflect.Message, change func(string) string) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		inner, err := packed.UnmarshalNew()
		if err != nil {
			return
		}
		eachText(inner.ProtoReflect(), change)
		packed.Value, err = proto.MarshalOptions{Deterministic: true}.Marshal(inner)
		if err != nil {
			panic("envoy: what was read cannot be written: " + err.Error()) // unreachable: only invalid UTF-8 fails
		}
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			v.Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
				if f.MapValue().Message() != nil {
					eachText(value.Message(), change)
				}
				return true
			})
		case f.IsList():
			for i := range v.List().Len() {
				if f.Message() != nil {
					eachText(v.List().Get(i).Message(), change)
				}
			}
		case f.Message() != nil:
			eachText(v.Message(), change)
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(change(v.String())))
		}
		return true
	})
}
