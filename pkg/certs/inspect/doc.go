// Package inspect reads certificates, requests and keys in whatever form they
// come, and tells what they are.
//
//	group, err := inspect.Read("web.pem", text, inspect.Options{})
//	report := inspect.Describe([]inspect.Group{group}, inspect.View{At: time.Now()})
//
// A private key is used to see whose it is; a report has nothing of it.
//
// Rules are cited as in the reference: CA.
package inspect
