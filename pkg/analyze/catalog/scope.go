package catalog

// OutOfScope are the codes of Istio's analyzers that no rule reports, and why.
func OutOfScope() map[string]string { return map[string]string{} }
