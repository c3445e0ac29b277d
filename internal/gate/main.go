// Command gate runs a test command and says how many cases ran. A gate in which
// no case ran has not passed: it fails.
//
//	gate NAME go-test-arguments...   runs go test
//	gate fuzz DURATION               runs every fuzz target of the module
//	gate sum LOG...                  adds up the closing lines of gates
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout))
}

func run(args []string, out io.Writer) int {
	if len(args) < 2 {
		_, _ = fmt.Fprintln(out, "usage: gate NAME go-test-arguments... | gate fuzz DURATION | gate sum LOG...")
		return 2
	}
	var t tally
	var err error
	switch args[0] {
	case "fuzz":
		t, err = fuzz(args[1], out)
	case "sum":
		t, err = sum(args[1:])
	default:
		t, err = goTest(args[1:], out)
	}
	for _, skip := range t.skips {
		_, _ = fmt.Fprintf(out, "not run: %s\n", skip)
	}
	_, _ = fmt.Fprintf(out, "gate %s: %d cases\n%s\n", args[0], t.passed+t.failed, t)
	switch {
	case err != nil:
		_, _ = fmt.Fprintf(out, "gate %s: %v\n", args[0], err)
		return 1
	case t.failed > 0:
		return 1
	case t.passed == 0:
		_, _ = fmt.Fprintf(out, "gate %s: no case ran\n", args[0])
		return 1
	}
	return 0
}
