package live

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshctl/meshctl/pkg/report"
)

// Times that a process may take.
const (
	startTimeout = 2 * time.Minute // a busy machine may be slow
	stopTimeout  = 10 * time.Second
	pollEvery    = 20 * time.Millisecond
)

// logFlush is how long Envoy keeps lines of its access log to itself.
const logFlush = 20 * time.Millisecond

// Process is a running Envoy.
type Process struct {
	Admin   string // HOST:PORT
	command *exec.Cmd
	exited  chan struct{} // closed when it is gone
	err     error         // how it went, then
	log     string
}

// Boot validates a bootstrap, starts Envoy with it and waits until it serves:
// valid is not yet running (DP-2). Files go to a folder of the caller's, and what
// Envoy says of itself to a file there, and to log if that is not nil. The context
// is for the start only; Stop ends the process.
func Boot(ctx context.Context, binary, dir string, b *bootstrapv3.Bootstrap, concurrency int, log io.Writer) (*Process, error) {
	text, err := protojson.Marshal(b)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "bootstrap.json")
	const private = 0o600
	if err := os.WriteFile(file, text, private); err != nil {
		return nil, err
	}
	if err := validate(ctx, binary, file); err != nil {
		return nil, ofEnvoy(ctx, binary, err)
	}
	p := &Process{exited: make(chan struct{}), log: filepath.Join(dir, "envoy.log")}
	adminFile := filepath.Join(dir, "admin")
	//nolint:gosec // the program that the user chose
	p.command = exec.Command(binary, "-c", file, "--admin-address-path", adminFile, "--log-level", "warning", "--component-log-level", quiet,
		"--concurrency", strconv.Itoa(max(1, concurrency)), "--disable-hot-restart", "--file-flush-interval-msec", strconv.Itoa(int(logFlush.Milliseconds())))
	ownGroup(p.command)
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, private)
	if err != nil {
		return nil, err
	}
	p.command.Stderr = out
	if log != nil {
		p.command.Stderr = io.MultiWriter(out, log)
	}
	if err := p.start(out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if err := p.awaitReady(ctx, adminFile); err != nil {
		return nil, errors.Join(ofEnvoy(ctx, binary, err), p.Stop())
	}
	if log != nil {
		if err := p.tell(ctx); err != nil {
			return nil, errors.Join(err, p.Stop())
		}
	}
	return p, nil
}

// start starts the command and closes its log when it has ended. Where the command
// shall end with this process, that goes by the thread that started it: it is kept
// for as long.
func (p *Process) start(log io.Closer) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.command.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.command.Wait()
		_ = log.Close() // nothing more comes
		close(p.exited)
	}()
	return <-started
}

// quiet is what Envoy shall not warn of: that fields of istiod's are old is nobody's
// news here.
const quiet = "misc:error"

// tell lets Envoy say what its policies decide. Before it serves it would print its
// configuration, with the keys that are in it.
func (p *Process) tell(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Admin+"/logging?paths=rbac:debug,jwt:debug,ext_authz:debug", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil || response.StatusCode == http.StatusOK {
		return err
	}
	return fmt.Errorf("envoy does not set its log levels: %s", response.Status)
}

// validate lets Envoy read a bootstrap, and say what is wrong with it.
func validate(ctx context.Context, binary, file string) error {
	//nolint:gosec // the program that the user chose
	output, err := exec.CommandContext(ctx, binary, "--mode", "validate", "-c", file, "--log-level", "error").CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("envoy does not accept the configuration: %w: %s", err, complaint(string(output)))
}

// ofEnvoy keeps an error if the program is an Envoy; if not, that is the error.
func ofEnvoy(ctx context.Context, binary string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	output, _ := exec.CommandContext(ctx, binary, "--version").CombinedOutput() // what it says is what counts
	if bytes.Contains(output, []byte("  version: ")) {
		return err
	}
	return &report.InputError{Subject: binary, Err: errors.New("this is not an Envoy: --version does not print one"), Hint: howToGetEnvoy}
}

// awaitReady waits until Envoy says that it is LIVE.
func (p *Process) awaitReady(ctx context.Context, adminFile string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	state := "no answer yet"
	for {
		select {
		case <-p.exited:
			output, _ := os.ReadFile(p.log) // what it said last, if anything
			return fmt.Errorf("envoy ended while it started: %w: %s", cmpErr(p.err), complaint(string(output)))
		case <-ctx.Done():
			return fmt.Errorf("envoy does not become ready (%s): %w", state, ctx.Err())
		case <-time.After(pollEvery):
		}
		address, err := os.ReadFile(adminFile) //nolint:gosec // a file that this package made
		if err != nil || len(address) == 0 {
			continue
		}
		p.Admin = strings.TrimSpace(string(address))
		if state = p.state(ctx); state == "LIVE" {
			return nil
		}
	}
}

// cmpErr is an error for a process that went without any.
func cmpErr(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// state is what the administration interface says of the server.
func (p *Process) state(ctx context.Context) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Admin+"/ready", nil)
	if err != nil {
		return err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }() // it is read
	line, _ := bufio.NewReader(io.LimitReader(response.Body, 256)).ReadString('\n')
	return strings.TrimSpace(line)
}

// Exited is closed when the process is gone, of itself or stopped.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err says how the process went, after Exited is closed: with what it said last.
func (p *Process) Err() error {
	<-p.exited
	output, _ := os.ReadFile(p.log) // what there is of it
	return fmt.Errorf("envoy ended: %w: %s", cmpErr(p.err), complaint(string(output)))
}

// Stop ends the process and all that it started, gently at first. It may be
// called more than once.
func (p *Process) Stop() error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := terminate(p.command.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
	}
	if err := kill(p.command.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.exited
	return nil
}
