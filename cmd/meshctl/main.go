// Command meshctl works on the security of an Istio mesh without a cluster.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// release is the version that a release build is given by the linker.
var release string

func main() {
	os.Exit(int(run()))
}

func run() exitCode {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	return execute(ctx, streams, os.Args[0], os.Args[1:])
}
