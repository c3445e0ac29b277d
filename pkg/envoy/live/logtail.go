package live

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// patience is how long the log may stand still while lines are missing.
const patience = 20 * time.Second

// logTail reads access logs while they are written. Each Envoy has one of its own:
// it writes lines in pieces.
type logTail struct {
	mu    sync.Mutex
	files []*logFile
	// The lines of connections that are open, and those of the ones that have ended,
	// by name. A client's port may serve again, or serve connections to several ports
	// at once.
	open  map[openConnection][]envoy.LogEntry
	ended map[string][][]envoy.LogEntry
	// requests are those that came in, by workload and ID.
	requests map[string]envoy.LogEntry
}

type logFile struct {
	path   string
	offset int64
	rest   []byte // of a line that is not whole yet
}

// openConnection is one that is open, by the ID that an Envoy gives it.
type openConnection struct {
	log *logFile
	id  int64
}

func newLogTail() *logTail {
	return &logTail{open: map[openConnection][]envoy.LogEntry{}, ended: map[string][][]envoy.LogEntry{}, requests: map[string]envoy.LogEntry{}}
}

// follow adds a log, which need not be there yet.
func (t *logTail) follow(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.files = append(t.files, &logFile{path: path})
}

// connection names one in the log.
func connection(workload, peer string) string { return workload + " " + peer }

// take waits until as many connections of each name as wanted have ended, and
// hands over what was written of them, oldest first.
func (t *logTail) take(ctx context.Context, wanted map[string]int) (map[string][][]envoy.LogEntry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.await(ctx, func() string {
		for name, n := range wanted {
			if len(t.ended[name]) < n {
				return "the connection " + name
			}
		}
		return ""
	})
	if err != nil {
		return nil, err
	}
	taken := map[string][][]envoy.LogEntry{}
	for name, n := range wanted {
		taken[name], t.ended[name] = t.ended[name][:n], t.ended[name][n:]
		if len(t.ended[name]) == 0 {
			delete(t.ended, name)
		}
	}
	return taken, nil
}

// takeOne waits until a connection of a name that was made to an address has
// ended, and hands over what was written of it.
func (t *logTail) takeOne(ctx context.Context, name, local string) ([]envoy.LogEntry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	to := func(entries []envoy.LogEntry) bool { return entries[len(entries)-1].Local == local }
	err := t.await(ctx, func() string {
		if !slices.ContainsFunc(t.ended[name], to) {
			return "the connection " + name + " to " + local
		}
		return ""
	})
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(t.ended[name], to)
	taken := t.ended[name][at]
	t.ended[name] = slices.Delete(t.ended[name], at, at+1)
	return taken, nil
}

// request waits for a request that came in to a workload.
func (t *logTail) request(ctx context.Context, workload, id string) (envoy.LogEntry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.await(ctx, func() string {
		if _, ok := t.requests[workload+" "+id]; !ok {
			return "the request " + id + " to " + workload
		}
		return ""
	})
	return t.requests[workload+" "+id], err
}

// since waits for a connection that a client made to a workload after some time,
// and has ended. Of several it is the last.
func (t *logTail) since(ctx context.Context, workload, client string, begin time.Time) ([]envoy.LogEntry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var last []envoy.LogEntry
	from := connection(workload, client+":")
	find := func() string {
		latest := float64(begin.UnixMicro()) / float64(time.Second/time.Microsecond)
		for name, all := range t.ended {
			for _, entries := range all {
				at, err := strconv.ParseFloat(entries[len(entries)-1].Start, 64)
				if strings.HasPrefix(name, from) && err == nil && at >= latest {
					last, latest = entries, at
				}
			}
		}
		if last == nil {
			return "a connection from " + client + " to " + workload
		}
		return ""
	}
	err := t.await(ctx, find)
	return last, err
}

// await reads until nothing is missing.
func (t *logTail) await(ctx context.Context, missing func() string) error {
	last := time.Now()
	for {
		grown, err := t.read()
		if err != nil {
			return err
		}
		what := missing()
		switch {
		case what == "":
			return nil
		case grown:
			last = time.Now()
		case time.Since(last) > patience:
			return errors.New("access log: nothing says what became of " + what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(logFlush / 2):
		}
	}
}

// read takes in what was added.
func (t *logTail) read() (grown bool, err error) {
	for _, file := range t.files {
		lines, err := file.added()
		if err != nil {
			return grown, err
		}
		for line := range bytes.Lines(lines) {
			e, err := envoy.ParseLogEntry(line)
			if err != nil {
				return true, err
			}
			t.add(file, e)
		}
		grown = grown || len(lines) > 0
	}
	return grown, nil
}

// added are the whole lines that were not read before.
func (l *logFile) added() ([]byte, error) {
	f, err := os.Open(l.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // nothing is written yet
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	added, err := io.ReadAll(io.NewSectionReader(f, l.offset, 1<<62))
	if err != nil {
		return nil, err
	}
	l.offset += int64(len(added))
	text := append(l.rest, added...)
	end := bytes.LastIndexByte(text, '\n') + 1
	l.rest = bytes.Clone(text[end:])
	return text[:end], nil
}

func (t *logTail) add(log *logFile, e envoy.LogEntry) {
	if e.Scope == envoy.RequestScope && e.ID != "" {
		t.requests[e.Workload+" "+e.ID] = e
	}
	c := openConnection{log, e.Connection}
	t.open[c] = append(t.open[c], e)
	if e.Scope == envoy.ConnectionScope {
		name := connection(e.Workload, e.Peer)
		t.ended[name] = append(t.ended[name], t.open[c])
		delete(t.open, c)
	}
}
