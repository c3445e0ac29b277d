// Package authz compares the enforcement model of a workload with RBAC filters
// that istiod wrote for it: by meaning, over requests made for the case.
//
// The filters are read on their own terms: as Envoy's protobufs, by an
// interpreter that knows nothing of policies (golden.go, chain.go). A matcher
// that it does not know is an error. Requests are made from what the matchers
// of both sides and the policies ask for: hits, near misses, absence.
//
// Two questions are asked. What does each rule make of what a filter sees,
// whether or not some client can send it? And what becomes of a request that a
// client can send, in the whole of policy.Model.Evaluate?
package authz
