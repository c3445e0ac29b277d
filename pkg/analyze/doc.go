// Package analyze finds what is wrong with the manifests of a mesh, or looks
// so.
//
// A Rule is one thing to look for; the packages below this one have the rules,
// and package catalog lists them all, each with the page that documents it.
// Analyze runs rules over an Inventory of what could be read of the files.
// Codes IST are those of Istio's own analyzers where the meaning is theirs;
// codes MSH are this project's.
package analyze
