package validation

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
)

// path leads to a value of the kinds that carry traffic.
type path []string

// to goes on by map keys.
func (p path) to(keys ...string) path { return append(p[:len(p):len(p)], keys...) }

// item goes on to an item of the list under a key.
func (p path) item(key string, n int) path { return p.to(key, strconv.Itoa(n)) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// named refuses an empty name.
func (c *checker) named(at path, what, value string) {
	if value == "" {
		c.refuse(at, "an empty %s: name it or take it away", what)
	}
}

// number refuses what is no port of a machine; zero may stand for any.
func (c *checker) number(at path, n uint32, zero bool) {
	if n > maxPort || n == 0 && !zero {
		c.refuse(at, "%d is no port: expected 1 to %d", n, maxPort)
	}
}

// optionalDuration checks a time, if there is one.
func (c *checker) optionalDuration(at path, d *durationpb.Duration) {
	if t := d.AsDuration(); d != nil && (t < time.Millisecond || t%time.Millisecond != 0) {
		c.refuse(at, "%v: expected whole milliseconds, one at least", t)
	}
}

func (c *checker) notNegative(at path, n int32) {
	if n < 0 {
		c.refuse(at, "%d is negative: expected 0 or more", n)
	}
}

// host checks the name of a host; a star may begin it.
func (c *checker) host(at path, name string) {
	if why := hostFault(name); why != "" {
		c.refuse(at, "host %q: %s", name, why)
	}
}

// plainHost is host without a star.
func (c *checker) plainHost(at path, name string) {
	if len(name) > 0 && name[0] == '*' {
		c.refuse(at, "host %q: traffic goes to one host, a star is none", name)
		return
	}
	why := hostFault(name)
	if why == "" && numeric.MatchString(name) {
		why = "a number is no host name"
	}
	if why != "" {
		c.refuse(at, "host %q: %s", name, why)
	}
}
