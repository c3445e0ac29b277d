// Package policytest runs tests of a mesh's policies.
//
// Parse reads test files, documents of kind PolicyTest. Each case in them asks
// for requests in the words of manifests and says what shall become of them;
// lists multiply. Run decides them all on the mesh that the files' inputs
// describe, and measures which rules of the policies some case exercised.
//
//	files, err := policytest.Parse(stream)
//	result, err := policytest.Run(ctx, []policytest.Suite{{File: files[0], Mesh: snapshot}}, policytest.Options{})
package policytest
