// Package report holds what an engine has to say about its input: where
// something stands and what was found there. It is plain data and imports
// nothing of the project; engines fill it, printers draw it.
package report
