package policy

import (
	"encoding/json"
	"strconv"
	"strings"
)

// parsePlain reads a request in the form that programs write: every field once,
// by its exact name, with a value of its type. It is false for anything else,
// which may be right or wrong. What it reads, it reads as encoding/json does, in
// a fifth of the time; texts are parts of the line and take no memory of their
// own.
func parsePlain(text string, r *Request) bool {
	p := plainReader{text: text}
	p.request(r)
	p.next()
	return !p.odd && p.at == len(text)
}

// plainReader reads JSON from a text up to where it is odd.
type plainReader struct {
	text string
	at   int
	odd  bool
}

func (p *plainReader) request(r *Request) {
	p.object(func(key string) int {
		switch key {
		case "id":
			r.ID = p.string()
			return 1
		case "to":
			p.destination(&r.To)
			return 2
		case "from":
			p.client(&r.From)
			return 3
		case "http":
			r.HTTP = &HTTP{}
			p.http(r.HTTP)
			return 4
		case "custom":
			r.Custom = p.string()
			return 5
		}
		return unknownField
	})
}

func (p *plainReader) destination(to *Destination) {
	p.object(func(key string) int {
		switch key {
		case "namespace":
			to.Namespace = p.string()
			return 1
		case "workload":
			to.Workload = p.string()
			return 2
		case "port":
			to.Port = p.number()
			return 3
		case "ip":
			to.IP = p.string()
			return 4
		}
		return unknownField
	})
}

func (p *plainReader) client(from *Client) {
	p.object(func(key string) int {
		switch key {
		case "identity":
			if !p.literal("null") {
				identity := p.string()
				from.Identity = &identity
			}
			return 1
		case "ip":
			from.IP = p.string()
			return 2
		case "sni":
			from.SNI = p.string()
			return 3
		case "alpn":
			from.ALPN = make([]string, 0, 3)
			p.list(func() { from.ALPN = append(from.ALPN, p.string()) })
			return 4
		case "tls":
			from.TLS = p.bool()
			return 5
		}
		return unknownField
	})
}

func (p *plainReader) http(h *HTTP) {
	p.object(func(key string) int {
		switch key {
		case "method":
			h.Method = p.string()
			return 1
		case "path":
			h.Path = p.string()
			return 2
		case "authority":
			h.Authority = p.string()
			return 3
		case "headers":
			p.headers(&h.Headers)
			return 4
		case "tokens":
			h.Tokens = make([]Token, 0, 1)
			p.list(func() {
				h.Tokens = append(h.Tokens, Token{})
				p.token(&h.Tokens[len(h.Tokens)-1])
			})
			return 5
		case "version":
			h.Version = p.string()
			return 6
		}
		return unknownField
	})
}

// headers may have a name more than once.
func (p *plainReader) headers(all *Lines) {
	p.object(func(name string) int {
		if p.next() == '[' {
			p.list(func() { *all = append(*all, Line{name, p.string()}) })
		} else {
			*all = append(*all, Line{name, p.string()})
		}
		return repeatable
	})
}

func (p *plainReader) token(t *Token) {
	p.object(func(key string) int {
		switch key {
		case "in":
			t.In = p.string()
			return 1
		case "name":
			t.Name = p.string()
			return 2
		case "prefix":
			t.Prefix = p.string()
			return 3
		case "jwt":
			t.JWT = p.string()
			return 4
		case "valid":
			t.Valid = p.bool()
			return 5
		case "invalid":
			t.Why = p.string()
			return 6
		case "claims":
			t.Claims = p.claims(0)
			return 7
		}
		return unknownField
	})
}

// claims are an object of any values. Of several with one name the last counts.
func (p *plainReader) claims(depth int) map[string]any {
	claims := map[string]any{}
	p.object(func(key string) int {
		claims[key] = p.value(depth + 1)
		return repeatable
	})
	return claims
}

func (p *plainReader) value(depth int) any {
	const deep = 20
	switch c := p.next(); {
	case depth > deep:
		p.odd = true
	case c == '"':
		return p.string()
	case c == '{':
		return p.claims(depth)
	case c == '[':
		list := []any{}
		p.list(func() { list = append(list, p.value(depth+1)) })
		return list
	case c == 't' || c == 'f':
		return p.bool()
	case c == 'n':
		p.odd = p.odd || !p.literal("null")
	default:
		return p.float()
	}
	return nil
}

// What the reader of a field says beside its number.
const (
	repeatable   = 0
	unknownField = -1
)

// object reads fields. Each says which it is; none may be there twice.
func (p *plainReader) object(field func(key string) int) {
	seen := 0
	p.sequence('{', '}', func() {
		key := p.string()
		p.expect(':')
		if p.odd {
			return
		}
		n := field(key)
		if n == unknownField || n != repeatable && seen&(1<<n) != 0 {
			p.odd = true
		} else {
			seen |= 1 << n
		}
	})
}

func (p *plainReader) list(item func()) { p.sequence('[', ']', item) }

// sequence reads what stands between brackets, with commas between.
func (p *plainReader) sequence(open, end byte, item func()) {
	p.expect(open)
	if p.next() == end {
		p.at++
		return
	}
	for !p.odd {
		item()
		if p.next() == end {
			p.at++
			return
		}
		p.expect(',')
	}
}

// next is the next character that is not blank; 0 at the end.
func (p *plainReader) next() byte {
	for ; p.at < len(p.text); p.at++ {
		if c := p.text[p.at]; c > ' ' || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
	}
	return 0
}

func (p *plainReader) expect(c byte) {
	if p.next() != c {
		p.odd = true
		return
	}
	p.at++
}

// literal reads a word if it is next.
func (p *plainReader) literal(word string) bool {
	p.next()
	if !strings.HasPrefix(p.text[p.at:], word) {
		return false
	}
	p.at += len(word)
	return true
}

func (p *plainReader) bool() bool {
	if p.literal("true") {
		return true
	}
	p.odd = p.odd || !p.literal("false")
	return false
}

// string reads a text. One with escapes or other characters than ASCII is left
// to encoding/json.
func (p *plainReader) string() string {
	p.expect('"')
	start, plain := p.at, true
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			if plain {
				return p.text[start : p.at-1]
			}
			var s string
			p.odd = p.odd || json.Unmarshal([]byte(p.text[start-1:p.at]), &s) != nil
			return s
		case c == '\\':
			plain = false
			p.at++
		case c < ' ' || c >= 0x80:
			plain = false
		}
	}
	p.odd = true
	return ""
}

// digits reads a number without sign, fraction and exponent, as it is written.
func (p *plainReader) digits() string {
	p.next()
	start := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	digits := p.text[start:p.at]
	if digits == "" || digits[0] == '0' && digits != "0" {
		p.odd = true
	}
	return digits
}

// number reads a number of up to 32 bits.
func (p *plainReader) number() uint32 {
	n, err := strconv.ParseUint(p.digits(), 10, 32)
	p.odd = p.odd || err != nil
	return uint32(n)
}

// float reads a number with or without a fraction.
func (p *plainReader) float() float64 {
	p.next()
	start := p.at
	if p.at < len(p.text) && p.text[p.at] == '-' {
		p.at++
	}
	p.digits()
	if p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		fraction := p.at
		for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
			p.at++
		}
		p.odd = p.odd || p.at == fraction
	}
	f, err := strconv.ParseFloat(p.text[start:p.at], 64)
	p.odd = p.odd || err != nil
	return f
}
