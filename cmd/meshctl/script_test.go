package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"meshctl": main})
}

// TestScripts runs the command line's behaviours, one a script.
func TestScripts(t *testing.T) {
	t.Parallel()
	shared, err := filepath.Abs(filepath.Join("..", "..", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") == "true",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TESTDATA", shared)
			env.Setenv("KUBECONFIG", "/nonexistent")
			return nil
		},
	})
}
