package inject

// PodTemplate tells where a kind of another API group keeps its pod template.
type PodTemplate struct {
	Group string   // API group
	Kind  string   //
	Path  []string // fields that lead to it, such as spec, template
}
