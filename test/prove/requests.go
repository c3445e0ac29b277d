package main

import (
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// path is a request target: a plain one, one that a policy names, or an odd one.
func (d dice) path() string {
	plain := []string{"/", "/api", "/api/v1", "/api/v1/items", "/admin", "/admin/users", "/items", "/a/b", "/index.html", "/shop.Cart/Add", "/healthz", "/api/a/items/b"}
	switch d.IntN(12) {
	case 0, 1, 2, 3, 4, 5, 6:
		return d.one(plain...) + d.one("", "", "", "?x=1", "?a=b&c=d")
	case 7, 8:
		p := d.one(pathValues()...)
		for _, star := range []string{"{**}", "{*}", "*"} {
			p = strings.ReplaceAll(p, star, d.one("", "a", "a/b", "items", "%2F", "a.b"))
		}
		if !strings.HasPrefix(p, "/") {
			p = "/x" + p
		}
		return p
	case 9, 10:
		return d.spoil(d.one(plain...))
	}
	return d.one(oddPaths()...)
}

// oddPaths are those of the reference's tables, and more of their kind.
func oddPaths() []string {
	return []string{
		"/a//b", "/a/./b", "/a/.", "/%2e", "/a/../b", "/../b", "/a/..", "/a/b//../c", "/%2e%2e/x", "/a/%2E./b", "/%61pi", "/%7Euser", "/A%2Db%5fc", "/a%2Fb", "/a%5Cb", "/a%2F..%2Fb",
		"/a/%2e%2e%2fb", "/a%5c..%5cb", "/a%252Fb", "/a/%252e%252e/b", `/a\b`, `/a\..\b`, `/\\a`, "/a;x=1", "/a%3bb", "/a/..;/b", "/a/..;x=1/b", "/a/.;x/b", "/a/%2e%2e;/b", "/a/..%3b/b", "/a|b",
		`/a"b`, "/a<b>", "/a^{b}", "/a`b", "/a[b]", "/!$&'()*+,:;=@", "/%20", "/%c3%a4", "/%zz", "/a%", "/%2", "/%0a", "/%7f", "/%00", "/a%00b", "/a?x=%00", "//", "///", "////", "/.//", "/%2f", "/%2f%2f",
		"/a/", "/a//", "/a?x=/../y//z", "/a#b", "/a#b?c", "/a?b#c", "http://o.com/a", "https://o.com", "HTTP://o.com/api", "http://o.com?x", "http://app.example.com/api/v1?x=1", "*", "a/b", `\a`, "",
		"/caf\u00e9", "/api?x=\u00e9", "/api/%2e%2e/admin", "/api//v1", "/./api", "/api/.", "/API", "/api?", "/?", "/api&x", "/api?access_token=x", "/api?token=", "/api%2fv1", "/api/..%2fadmin",
		"*x", "abc", "http:/o", "http:o", "ftp://x/y", "://x", ":a", "@x", "?x", "#x", "a:80", "[::1]:80", "a_b:80", "a:x", "a:80/x", "http://u@o.com/a", "http://u:p@app.example.com:8080/api", "http://[::1]:80/a", "http://a_b/",
		"http://o.com#x", `http://o.com\a`, "http:///a", "http://o.com:x/", "http://o%41.com/", "http://o.com:/a", "http://o.com:99999/", "http://a@@b/", "http://o.com/a#f", "/a\x7fb",
	}
}

// spoil changes a path at a random place.
func (d dice) spoil(p string) string {
	at := d.IntN(len(p)) + 1
	return p[:at] + d.one("/", "//", "/./", "/../", "%2f", "%2F..", "\\", ";a=b", "%61", "%2e", ".", "..", "?", "#", "%", "%41", "*", "\"", "%5c") + p[at:]
}

func (d dice) host() string {
	if d.percent(4) { // any character, somewhere
		const host = "app.example.com"
		at := d.IntN(len(host) + 1)
		return host[:at] + string(rune(' '+d.IntN(0x7f-' '))) + host[at:]
	}
	return d.one("app.example.com", "app.example.com", "app.example.com", "APP.example.com", "app.example.com:8080", "other.example.com", "app", "", "app.example.com.", "[::1]:80", "a_b.com", "app.example.com:x", "u@app.example.com", "app.example.com/x", " app")
}

// line is a header line; spoilt ones end most requests before any policy.
func (d dice) line() policy.Line {
	lines := goodLines()
	if d.percent(3) {
		lines = spoiltLines()
	}
	name, value, _ := strings.Cut(d.one(lines...), "=")
	return policy.Line{Name: name, Value: value}
}

// goodLines are NAME=VALUE.
func goodLines() []string {
	return []string{
		"x-token=secret", "x-token=other", "x-token=", "x-token=a,b", "x-token= a, b ", "x-token= secret", "x-token=secret\t", "X-Token=secret", "x-env=prod", "x-env=dev", "user-agent=curl/8",
		"cookie=a=1", "cookie=b=2", "cookie=", "accept=a", "accept=b", "accept=", "x-forwarded-for=10.1.2.3", "x-forwarded-for=1.2.3.4, 10.1.2.3",
		"x-forwarded-for=10.1.2.3:80", "x-forwarded-for=2001:db8::1", "x-forwarded-for=garbage", "x-forwarded-for=::ffff:10.1.2.3",
		"x-forwarded-for=1.2.3.4,", "x-forwarded-proto=https", "content-type=application/grpc", "content-type=application/grpc-web",
		"content-type=text/plain", "authorization=Basic abc", "authorization=Bearer x", "authorization=", "x-payload=eyJ9", "x-sub=alice",
		"referer=http://a/b", "referer=not a: url", "te=trailers", "te=gzip", "te=gzip, trailers", "x_under=1", "x-request-id=abc",
		"x-forwarded-client-cert=By=x;URI=spiffe://cluster.local/ns/shop/sa/curl", "origin=http://a", "access-control-request-method=GET",
		"host=app.example.com", "host=other", "x-jwt=Token x", "x-jwt=", "x-meta=\ttab\t", "upgrade=websocket", "keep-alive=x",
		"proxy-connection=keep-alive", "expect=100-continue", "x-meta=\u00e9", "content-length=0",
	}
}

func spoiltLines() []string {
	return []string{
		"upgrade=foo", "upgrade=websocket", "connection=upgrade", "keep-alive=x", "proxy-connection=keep-alive", "expect=100-continue", "x-meta=\x01",
		"x-meta=\x7f", "x meta=1", "x-meta=\u00e9", "content-length=0", "content-length=x", "transfer-encoding=gzip",
	}
}
