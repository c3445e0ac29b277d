package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/spf13/cobra"

	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// exitCode is what the process tells its caller; it means the same in every
// output format.
type exitCode int

const (
	exitOK     exitCode = 0 // done, clean, yes
	exitNo     exitCode = 1 // the answer is no
	exitFailed exitCode = 2 // could not answer: usage, unreadable input, internal
	exitPart   exitCode = 3 // answered in part: something outside the model decided
)

// negative is an answer of no: not a failure, but not a success either.
type negative struct{ reason string }

func (n negative) Error() string { return n.reason }

// partial is an answer with gaps.
type partial struct{ reason string }

func (p partial) Error() string { return p.reason }

// usageError is a command line that cannot be meant.
type usageError struct {
	err     error
	command string
}

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Unwrap() error { return u.err }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...), cmd.CommandPath()}
}

// report prints an error and classifies it: the one place that does. A reader
// that closed the pipe has seen what it wanted.
func report(w io.Writer, err error) exitCode {
	var no negative
	var part partial
	var usage usageError
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE):
		return exitOK
	case errors.As(err, &no):
		_, _ = fmt.Fprintf(w, "meshctl: %v\n", err)
		return exitNo
	case errors.As(err, &part):
		_, _ = fmt.Fprintf(w, "meshctl: %v\n", err)
		return exitPart
	case errors.Is(err, context.Canceled):
		_, _ = fmt.Fprintln(w, "meshctl: interrupted")
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(w, "meshctl: %v\nhint: see %s --help\n", err, usage.command)
	default:
		for _, problem := range flatten(err) {
			_, _ = fmt.Fprintf(w, "meshctl: %v\n", problem)
			var input *meshreport.InputError
			if errors.As(problem, &input) && input.Hint != "" {
				_, _ = fmt.Fprintf(w, "hint: %s\n", input.Hint)
			}
		}
	}
	return exitFailed
}

// flatten lists the errors that errors.Join put together.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}
