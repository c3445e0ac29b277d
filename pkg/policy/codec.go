package policy

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What Envoy's HTTP/1 parser takes for a request target that is no path: a URL of
// any scheme and, after CONNECT, one without its scheme. More is asked of it
// later.
var (
	parsedTarget  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://` + parsedHost + `(?:[/?][!-~]*)?$`)
	parsedConnect = regexp.MustCompile(`^` + parsedHost + `(?:[/?][!-~]*)?$`)
)

// parsedHost has any number of @, but no two in a row.
const parsedHost = `@?(?:[A-Za-z0-9!$%&'()*+,\-.:;=\[\]_~]@?)*`

// absoluteTarget is a request target that names the authority too; what logs in
// before the host is dropped. connectTarget is that of CONNECT.
var (
	absoluteTarget = regexp.MustCompile(`^(?i:https?)://(?:[A-Za-z0-9\-_.!~*'()%;:&=+$,]*@)?` + authorityForm + `(?:([/?].*)?)$`)
	connectTarget  = regexp.MustCompile(`^` + authorityForm + `$`)
)

// authorityForm is a host of a request target, with or without a port.
const authorityForm = `((?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]+))?)`

// rejection is an answer of Envoy's own before any policy; status 0 closes the
// connection.
type rejection struct {
	status int
	reason string
}

// message is a request as it stands on the wire.
type message struct {
	method, target, authority string
	lines                     Lines
	h2                        bool
	scheme                    string // of HTTP/2; empty is that of the connection
}

// wire writes a request: header lines, then one for each token in a header or
// cookie; parameter tokens end the query, before a fragment.
func wire(h *HTTP, text func(i int) string) message {
	m := message{method: h.Method, target: h.Path, authority: h.Authority, lines: slices.Clip(h.Headers), h2: h.Version == "2", scheme: h.Scheme}
	for i, t := range h.Tokens {
		switch t.In {
		case "param":
			target, fragment, hasFragment := strings.Cut(m.target, "#")
			separator := "?"
			if strings.Contains(target, "?") {
				separator = "&"
			}
			m.target = target + separator + t.Name + "=" + text(i)
			if hasFragment {
				m.target += "#" + fragment
			}
		case "cookie":
			m.lines = append(m.lines, Line{"cookie", t.Name + "=" + text(i)})
		default:
			m.lines = append(m.lines, Line{t.Name, t.Prefix + text(i)})
		}
	}
	return m
}

// looksLikeHTTP is what the HTTP inspector makes of the first line: any token,
// a target that the parser takes, and a version that it knows (RUN-2, DP-15a).
func (m *message) looksLikeHTTP() bool { return m.h2 || isToken(m.method) && m.parses() }

// parses tells whether the HTTP/1 parser takes the request target.
func (m *message) parses() bool {
	switch {
	case m.target == "":
		return m.method == http.MethodConnect // the version stands in its place
	case m.target[0] == '/' || m.target[0] == '*':
		return isVisible(m.target)
	case m.method == http.MethodConnect:
		return parsedConnect.MatchString(m.target)
	}
	return parsedTarget.MatchString(m.target)
}

// isVisible tells whether a text is visible ASCII throughout.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '(', ')', ',', '/', ':', ';', '<', '=', '>', '?', '@', '[', '\\', ']', '{', '}':
			return false
		default:
			if c <= ' ' || c >= 0x7f {
				return false
			}
		}
	}
	return s != ""
}

// isMethod tells whether the HTTP/1 codec knows a method (DP-20). M-SEARCH is
// none.
func isMethod(s string) bool {
	switch s {
	case "DELETE", "GET", "HEAD", "POST", "PUT", "CONNECT", "OPTIONS", "TRACE", "COPY", "LOCK", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH",
		"SEARCH", "UNLOCK", "BIND", "REBIND", "UNBIND", "ACL", "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE", "MSEARCH", "NOTIFY", "SUBSCRIBE",
		"UNSUBSCRIBE", "PATCH", "PURGE", "MKCALENDAR", "LINK", "UNLINK", "SOURCE", methodQuery:
		return true
	}
	return false
}

// http1 reads a request as Envoy's HTTP/1 codec and connection manager do, up
// to the first filter. What the connection manager rejects has headers.
func (m *message) http1() (headers, *rejection) {
	if !isMethod(m.method) {
		return nil, &rejection{http.StatusBadRequest, "unknown method " + m.method}
	}
	if !m.parses() {
		return nil, &rejection{http.StatusBadRequest, "a request target that is neither a path nor a URL"}
	}
	for _, l := range m.lines {
		if !isToken(l.Name) || strings.ContainsFunc(l.Value, isControl) {
			return nil, &rejection{http.StatusBadRequest, "malformed header line"}
		}
	}
	if why := m.overflow1(); why != "" {
		return nil, &rejection{http.StatusRequestHeaderFieldsTooLarge, why}
	}
	if r := m.framing(); r != nil {
		return nil, r
	}
	r := m.target1()
	if r != nil && r.status != http.StatusNotFound {
		return nil, r
	}
	h := newHeaders(m.method, m.target, strings.Trim(m.authority, " \t"), len(m.lines))
	for _, l := range m.lines {
		name := strings.ToLower(l.Name)
		if name == "host" {
			name = ":authority"
		}
		h.add(name, strings.Trim(l.Value, " \t")) // outer blanks do not belong to it (DP-67)
	}
	return h, r
}

// Limits of what comes before a body (DP-27).
const (
	maxLines     = 100
	maxHeadBytes = 60 << 10
)

// overflow1 says which limit of HTTP/1 a request exceeds: that of lines, or of
// the bytes of all of them and of the request line.
func (m *message) overflow1() string {
	size := len(m.method+" "+m.target+" HTTP/1.1\r\n") + len("host: "+m.authority+"\r\n") + len("\r\n")
	for _, l := range m.lines {
		size += len(l.Name+": "+l.Value) + len("\r\n")
	}
	switch {
	case 1+len(m.lines) > maxLines:
		return "more than 100 header lines"
	case size > maxHeadBytes:
		return "more than 60 KiB of headers"
	}
	return ""
}

// overflow2 says which limit of HTTP/2 a request exceeds: pseudo-headers count.
func (m *message) overflow2(scheme string) string {
	const pseudo = ":method" + ":scheme" + ":path" + ":authority"
	size, lines := len(pseudo+m.method+scheme+m.target+m.authority), 4+len(m.lines)
	if m.authority == "" {
		size, lines = size-len(":authority"), lines-1
	}
	for _, l := range m.lines {
		size += len(l.Name) + len(l.Value)
	}
	switch {
	case lines > maxLines:
		return "more than 100 headers"
	case size > maxHeadBytes:
		return "more than 60 KiB of headers"
	}
	return ""
}

// framing checks the headers that say where the message ends. They are taken at
// their word: there are no bodies here.
func (m *message) framing() *rejection {
	lengths, encoded, chunked := m.lengths(), false, true
	for _, l := range m.lines {
		if strings.EqualFold(l.Name, "transfer-encoding") {
			encoded, chunked = true, chunked && strings.EqualFold(strings.Trim(l.Value, " \t"), "chunked")
		}
	}
	switch {
	case len(lengths) > 1, len(lengths) == 1 && (encoded || lengths[0] == "" || strings.Trim(lengths[0], "0123456789") != ""):
		return &rejection{http.StatusBadRequest, "malformed content-length, or one that is not alone"}
	case !chunked:
		return &rejection{http.StatusNotImplemented, "transfer-encoding other than chunked"}
	}
	return nil
}

// lengths are the values of content-length.
func (m *message) lengths() []string {
	var all []string
	for _, l := range m.lines {
		if strings.EqualFold(l.Name, "content-length") {
			all = append(all, strings.Trim(l.Value, " \t"))
		}
	}
	return all
}

// target1 checks the request line's target, and takes an absolute one apart
// (section 5 of the datapath reference).
func (m *message) target1() *rejection {
	bad := func(why string) *rejection { return &rejection{http.StatusBadRequest, why} }
	switch {
	case m.method == http.MethodConnect:
		match := connectTarget.FindStringSubmatch(m.target)
		if match == nil || !isPortText(match[2]) {
			return bad("CONNECT takes a host and port")
		}
		m.authority = m.target
	case strings.HasPrefix(m.target, "*"):
		if m.method == http.MethodOptions {
			return &rejection{http.StatusNotFound, "no path"}
		}
		return bad("a request target without a path")
	case strings.HasPrefix(m.target, "/"):
	default:
		match := absoluteTarget.FindStringSubmatch(m.target)
		if match == nil || match[2] != "" && !isPortText(match[2]) {
			return bad("malformed URL as request target")
		}
		m.authority, m.target = match[1], cmp.Or(match[3], "/")
		if !strings.HasPrefix(m.target, "/") {
			return &rejection{http.StatusNotFound, "no path in an absolute request target"}
		}
	}
	if !isHost(strings.ReplaceAll(strings.Trim(m.authority, " \t"), "@", "")) {
		return bad("malformed authority")
	}
	return nil
}

// isPortText tells whether digits are the number of a port.
func isPortText(digits string) bool {
	_, err := strconv.ParseUint(digits, 10, 16)
	return err == nil
}

// isControl tells characters that no header value has.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// methodQuery is GET with a body, whose type must be told.
const methodQuery = "QUERY"

// http2 reads a request as Envoy's HTTP/2 codec does; what it does not accept
// closes the connection (DP-21).
func (m *message) http2(tls bool) (headers, *rejection) {
	refuse := func(why string) (headers, *rejection) { return nil, &rejection{0, why} }
	if !isToken(m.method) {
		return refuse("malformed method")
	}
	authority, hosts := m.authority, 0
	for _, l := range m.lines {
		if l.Name != "host" {
			continue
		}
		if hosts++; hosts > 1 || !isAuthority(l.Value) {
			return refuse("malformed host header, or more than one")
		}
		if authority == "" {
			authority = l.Value // DP-22
		}
	}
	switch {
	case m.method == http.MethodConnect:
		return refuse("CONNECT with a path")
	case m.target == "*" && m.method == http.MethodOptions:
	case !strings.HasPrefix(m.target, "/") || strings.ContainsFunc(m.target, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return refuse("malformed path")
	}
	if !isAuthority(authority) {
		return refuse("malformed authority")
	}
	scheme := cmp.Or(m.scheme, "http")
	if tls && m.scheme == "" {
		scheme = "https"
	}
	if why := m.overflow2(scheme); why != "" {
		return refuse(why)
	}
	h := newHeaders(m.method, m.target, authority, len(m.lines))
	h.set(":scheme", scheme)
	for _, l := range m.lines {
		if why := refusedLine(l); why != "" {
			return refuse(why)
		}
		if l.Name != "host" {
			h.add(l.Name, l.Value)
		}
	}
	if len(m.lengths()) > 1 {
		return refuse("content-length twice")
	}
	h.joinCookies()
	if m.target == "*" {
		return h, &rejection{http.StatusNotFound, "no path"}
	}
	return h, nil
}

// isAuthority tells what the HTTP/2 codec takes for one (DP-21a).
func isAuthority(s string) bool { return s != "" && isHost(s) }

// isHost tells whether a text has only what may stand in the authority of a URL,
// user information left out.
func isHost(s string) bool {
	for i := range len(s) {
		switch c := s[i]; c {
		case '!', '$', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', ':', ';', '=', '[', ']', '_', '~':
		default:
			if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return true
}

// refusedLine says why the HTTP/2 codec does not accept a header line (DP-21a).
func refusedLine(l Line) string {
	switch l.Name {
	case "connection", "transfer-encoding", "keep-alive", "upgrade", "proxy-connection":
		return "header " + l.Name + " is not for HTTP/2"
	case "te":
		if !strings.EqualFold(strings.TrimSpace(l.Value), "trailers") {
			return "te other than trailers"
		}
	case "content-length":
		if l.Value != "0" {
			return "content-length without a body"
		}
	}
	switch {
	case !isToken(l.Name) || strings.ToLower(l.Name) != l.Name:
		return "malformed header name"
	case strings.ContainsFunc(l.Value, isControl):
		return "control characters in a header"
	}
	return ""
}

// joinCookies makes one value of the cookie lines (DP-22a).
func (h *headers) joinCookies() {
	lines := h.values("cookie")
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	h.remove("cookie")
	if len(lines) > 0 {
		h.set("cookie", strings.Join(lines, "; "))
	}
}
