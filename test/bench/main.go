// Command bench runs bin/meshctl as a whole process, holds it to the budgets
// of time and memory, and shows that cost grows with the number of workloads
// and not faster. It does the same for compiling policies, and compares issuing
// certificates with what keys and signatures cost. The best of several
// runs counts: the machine may be busy with other things, meshctl may not. For
// the same reason a budget of time is also met by processor time: where that is
// less, waiting for the machine was the rest.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// budget is what one command may take.
type budget struct {
	name   string
	args   []string
	runs   int
	wall   time.Duration // 0 is unlimited
	memory int64         // MiB; 0 is unlimited
}

// usage is what one run took.
type usage struct {
	wall, cpu time.Duration
	memory    int64 // MiB, the largest resident set
	output    int64 // bytes
}

func main() {
	os.Exit(run(os.Stdout))
}

func run(out io.Writer) int {
	dir, err := os.MkdirTemp("", "meshctl-bench")
	if err != nil {
		_, _ = fmt.Fprintln(out, "bench:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // temporary
	passed, failed, err := measure(out, dir)
	if err != nil {
		_, _ = fmt.Fprintln(out, "bench:", err)
		return 1
	}
	_, _ = fmt.Fprintf(out, "gate bench: %d cases\n%d passed, %d failed\n", passed+failed, passed, failed)
	if failed > 0 {
		return 1
	}
	return 0
}

// budgets are what is held to what; it writes the files that they read.
func budgets(dir string) ([]budget, error) {
	files := map[int]string{}
	for _, n := range []int{1, 200, 2000, 20000} {
		files[n] = filepath.Join(dir, fmt.Sprintf("%d.yaml", n))
		if err := writeDeployments(files[n], n); err != nil {
			return nil, err
		}
	}
	inject := func(n int, more ...string) []string {
		return append([]string{"inject", "--report", "none", "-f", files[n]}, more...)
	}
	const requests = 100_000
	simulate, err := writeSimulation(dir, requests)
	if err != nil {
		return nil, err
	}
	simulateMore, err := writeSimulation(dir, 10*requests)
	if err != nil {
		return nil, err
	}
	certificates, err := certificateBudgets(dir)
	return append([]budget{
		{"version", []string{"version"}, 20, 20 * time.Millisecond, 80},
		{"inject one Deployment", inject(1), 20, 30 * time.Millisecond, 80},
		{"inject 200 Deployments", inject(200), 5, 0, 0},
		{"inject 2,000 Deployments", inject(2000), 5, 1500 * time.Millisecond, 200},
		{"inject 20,000 Deployments", inject(20000), 1, 0, 0},
		{"inject --preserve 2,000 Deployments", inject(2000, "--preserve"), 2, 0, 0},
		{"simulate 100,000 requests", simulate, 7, time.Second, 200},
		{"simulate 1,000,000 requests", simulateMore, 1, 0, 0},
	}, certificates...), err
}

func measure(out io.Writer, dir string) (passed, failed int, err error) {
	binary, err := filepath.Abs(filepath.Join("bin", "meshctl"))
	if err != nil {
		return 0, 0, err
	}
	all, err := budgets(dir)
	if err != nil {
		return 0, 0, err
	}
	best := map[string]usage{}
	judge := func(ok bool, format string, args ...any) {
		verdict := "ok  "
		if ok {
			passed++
		} else {
			failed++
			verdict = "OVER"
		}
		_, _ = fmt.Fprintf(out, verdict+" "+format+"\n", args...)
	}
	for _, b := range all {
		u, err := b.best(binary)
		if err != nil {
			return passed, failed, err
		}
		best[b.name] = u
		judge((b.wall == 0 || min(u.wall, u.cpu) <= b.wall) && (b.memory == 0 || u.memory <= b.memory),
			"%-36s %8s wall (%s) %8s CPU %5d MiB (%s) %9d bytes out", b.name, u.wall.Round(time.Millisecond), limit(b.wall),
			u.cpu.Round(time.Millisecond), u.memory, limit(b.memory), u.output)
	}
	if err := issueAll(dir, judge); err != nil {
		return passed, failed, err
	}
	if err := compileAll(judge); err != nil {
		return passed, failed, err
	}
	// Ten times the workloads or requests may cost n log n.
	for _, step := range [][2]string{{"inject 200 Deployments", "inject 2,000 Deployments"}, {"inject 2,000 Deployments", "inject 20,000 Deployments"}, {"simulate 100,000 requests", "simulate 1,000,000 requests"}} {
		ratio := float64(best[step[1]].cpu) / float64(best[step[0]].cpu)
		judge(ratio <= growth, "%-36s %8.1f times the CPU of a tenth (at most %.1f)", step[1], ratio, growth)
	}
	return passed, failed, nil
}

// growth is what ten times as much may cost: ten times, and a third more.
const growth = 13.3

func limit[T time.Duration | int64](v T) string {
	if v == 0 {
		return "no limit"
	}
	return fmt.Sprintf("at most %v", v)
}

// best runs a command and keeps the least of each figure.
func (b budget) best(binary string) (usage, error) {
	var least usage
	for n := range b.runs {
		u, err := once(binary, b.args)
		if err != nil {
			return usage{}, fmt.Errorf("%s: %w", b.name, err)
		}
		if n == 0 {
			least = u
		}
		least.wall, least.cpu, least.memory = min(least.wall, u.wall), min(least.cpu, u.cpu), min(least.memory, u.memory)
	}
	return least, nil
}

// counter counts what it is given.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func once(binary string, args []string) (usage, error) {
	var stdout counter
	var stderr bytes.Buffer
	c := exec.Command(binary, args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	start := time.Now()
	if err := c.Run(); err != nil {
		return usage{}, fmt.Errorf("%w: %s", err, stderr.String())
	}
	wall := time.Since(start)
	r := c.ProcessState.SysUsage().(*syscall.Rusage)
	return usage{
		wall:   wall,
		cpu:    c.ProcessState.UserTime() + c.ProcessState.SystemTime(),
		memory: r.Maxrss >> 10,
		output: int64(stdout),
	}, nil
}

// writeDeployments writes n workloads of everyday size, about 1.1 kB each. It
// holds none of them: a process's memory counts for those that it starts, too.
func writeDeployments(file string, n int) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for i := range n {
		if _, err := fmt.Fprintf(f, deployment, i); err != nil {
			return err
		}
	}
	return nil
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-%[1]d
  namespace: shop
  labels:
    app.kubernetes.io/name: web-%[1]d
    app.kubernetes.io/part-of: shop
spec:
  replicas: 2
  selector:
    matchLabels:
      app: web-%[1]d
  template:
    metadata:
      labels:
        app: web-%[1]d
        version: v1
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "9090"
    spec:
      serviceAccountName: web-%[1]d
      containers:
      - name: web
        image: registry.example.com/shop/web:1.4.%[1]d
        args: ["--listen", ":8080", "--upstream", "http://store.shop.svc:8080"]
        ports:
        - name: http
          containerPort: 8080
        - name: metrics
          containerPort: 9090
        env:
        - name: LOG_LEVEL
          value: info
        - name: STORE
          valueFrom:
            configMapKeyRef:
              name: store
              key: address
        readinessProbe:
          httpGet:
            path: /ready
            port: http
        livenessProbe:
          httpGet:
            path: /live
            port: 8080
        resources:
          requests:
            cpu: 50m
            memory: 64Mi
        volumeMounts:
        - name: cache
          mountPath: /var/cache
      volumes:
      - name: cache
        emptyDir: {}
---
`
