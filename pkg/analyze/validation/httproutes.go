package validation

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// httpRoute checks a route of a VirtualService.
func (c *checker) httpRoute(at path, r *networking.HTTPRoute, isDelegate bool) {
	if r == nil {
		c.refuse(at, "an empty route: take it away")
		return
	}
	c.routeKind(at, r, isDelegate)
	for i, m := range r.Match {
		c.httpMatch(at.item("match", i), m)
	}
	var weights []int32
	for i, d := range r.Route {
		c.routeTo(at.item("route", i).to("destination"), d.GetDestination())
		c.headers(at.item("route", i).to("headers"), d.GetHeaders())
		weights = append(weights, d.GetWeight())
	}
	c.weights(at, weights)
	c.headers(at.to("headers"), r.Headers)
	c.mirrors(at, r)
	c.httpFeatures(at, r)
}

// routeKind checks that a route does one thing: it leads to destinations,
// redirects, answers itself or delegates.
func (c *checker) routeKind(at path, r *networking.HTTPRoute, isDelegate bool) {
	var kinds []string
	for _, kind := range []struct {
		name string
		set  bool
	}{{"route", len(r.Route) > 0}, {"redirect", r.Redirect != nil}, {"directResponse", r.DirectResponse != nil}, {"delegate", r.Delegate != nil}} {
		if kind.set {
			kinds = append(kinds, kind.name)
		}
	}
	switch {
	case len(kinds) == 0:
		c.refuse(at, "a route that leads nowhere: give it route, redirect or directResponse")
	case len(kinds) > 1:
		c.refuse(at, "%s exclude each other: keep one", strings.Join(kinds, " and "))
	}
	if r.Delegate != nil && isDelegate {
		c.refuse(at.to("delegate"), "a delegate cannot delegate: lead to destinations here")
	}
	if r.Redirect != nil {
		c.redirect(at, r)
	}
	if d := r.DirectResponse; d != nil {
		c.directResponse(at.to("directResponse"), d)
	}
}

func (c *checker) directResponse(at path, d *networking.HTTPDirectResponse) {
	if d.Status < 200 || d.Status > 599 {
		c.refuse(at.to("status"), "%d is no status to answer: expected 200 to 599", d.Status)
	}
	size := len(d.GetBody().GetString_()) + len(d.GetBody().GetBytes())
	if size > 1<<20 {
		c.refuse(at.to("body"), "a body of %d bytes: at most 1 MiB", size)
	} else if size > 100<<10 {
		c.warn(at.to("body"), "every proxy keeps this body of %d bytes in memory: keep it under 100 KiB", size)
	}
}

func (c *checker) redirect(at path, r *networking.HTTPRoute) {
	if r.Fault != nil {
		c.refuse(at.to("fault"), "redirect and fault exclude each other: keep one")
	}
	if r.Rewrite != nil {
		c.refuse(at.to("rewrite"), "redirect and rewrite exclude each other: keep one")
	}
	if code := r.Redirect.RedirectCode; code != 0 && (code < 300 || code > 399) {
		c.refuse(at.to("redirect", "redirectCode"), "%d is no status of a redirect: expected 301, 302, 303, 307 or 308", code)
	}
	if s := r.Redirect.Scheme; s != "" && s != "http" && s != "https" {
		c.refuse(at.to("redirect", "scheme"), "scheme %q: expected http or https", s)
	}
}

func (c *checker) httpMatch(at path, m *networking.HTTPMatchRequest) {
	if m == nil {
		c.refuse(at, "an empty match: take it away")
		return
	}
	for name, s := range map[string]*networking.StringMatch{"uri": m.Uri, "scheme": m.Scheme, "method": m.Method, "authority": m.Authority} {
		c.expression(at.to(name), s)
	}
	for name, group := range map[string]map[string]*networking.StringMatch{"headers": m.Headers, "withoutHeaders": m.WithoutHeaders, "queryParams": m.QueryParams} {
		for _, key := range sortedKeys(group) {
			c.expression(at.to(name, key), group[key])
			c.named(at.to(name), "name in "+name, key)
		}
	}
	c.gatewayNames(at, m.Gateways)
	c.number(at.to("port"), m.Port, true)
}

// expression checks that the regular expression of a condition is one.
func (c *checker) expression(at path, s *networking.StringMatch) {
	r, ok := s.GetMatchType().(*networking.StringMatch_Regex)
	if !ok {
		return
	}
	var wrong *syntax.Error
	switch _, err := regexp.Compile(r.Regex); {
	case errors.As(err, &wrong):
		c.refuse(at.to("regex"), "%q is no regular expression: %s: %s. RE2 has no lookaround and no back-references", r.Regex, wrong.Code, wrong.Expr)
	case err != nil, r.Regex == "":
		c.refuse(at.to("regex"), "%q is no regular expression", r.Regex)
	}
}

// headers checks the names of headers that are set, added or removed.
func (c *checker) headers(at path, h *networking.Headers) {
	for side, o := range map[string]*networking.Headers_HeaderOperations{"request": h.GetRequest(), "response": h.GetResponse()} {
		for name, group := range map[string]map[string]string{"set": o.GetSet(), "add": o.GetAdd()} {
			for key := range group {
				c.named(at.to(side, name), "name of a header", key)
			}
		}
		for i, name := range o.GetRemove() {
			c.named(at.to(side).item("remove", i), "name of a header", name)
		}
	}
}

func (c *checker) mirrors(at path, r *networking.HTTPRoute) {
	if r.Mirror != nil && len(r.Mirrors) > 0 {
		c.refuse(at.to("mirror"), "mirror and mirrors exclude each other: keep mirrors")
	}
	if r.Mirror != nil {
		c.routeTo(at.to("mirror"), r.Mirror)
	}
	for i, m := range r.Mirrors {
		c.routeTo(at.item("mirrors", i).to("destination"), m.GetDestination())
		c.share(at.item("mirrors", i).to("percentage"), m.GetPercentage())
	}
	c.share(at.to("mirrorPercentage"), r.MirrorPercentage)
}

// share checks a part of the traffic.
func (c *checker) share(at path, p *networking.Percent) {
	if p.GetValue() < 0 || p.GetValue() > 100 {
		c.refuse(at.to("value"), "%v is no percentage: expected 0 to 100", p.GetValue())
	}
}

// httpFeatures checks what else a route may do with a request.
func (c *checker) httpFeatures(at path, r *networking.HTTPRoute) {
	if t := r.Timeout; t != nil && t.AsDuration() != 0 { // 0s is none
		c.optionalDuration(at.to("timeout"), t)
	}
	if w := r.Rewrite; w != nil {
		c.rewrite(at.to("rewrite"), w)
	}
	if retries := r.Retries; retries != nil {
		c.retries(at.to("retries"), retries)
	}
	if f := r.Fault; f != nil {
		c.fault(at.to("fault"), f)
	}
	for i, origin := range r.CorsPolicy.GetAllowOrigins() {
		c.expression(at.to("corsPolicy").item("allowOrigins", i), origin)
	}
	if age := r.CorsPolicy.GetMaxAge().AsDuration(); age < 0 {
		c.refuse(at.to("corsPolicy", "maxAge"), "%v is negative: expected 0s or more", age)
	}
}

func (c *checker) rewrite(at path, w *networking.HTTPRewrite) {
	if w.Uri != "" && w.UriRegexRewrite != nil {
		c.refuse(at, "uri and uriRegexRewrite exclude each other: keep one")
	}
	if w.Uri == "" && w.Authority == "" && w.UriRegexRewrite == nil {
		c.refuse(at, "a rewrite that says nothing: give it uri, authority or uriRegexRewrite")
	}
	if x := w.UriRegexRewrite; x != nil {
		c.expression(at.to("uriRegexRewrite"), &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: x.Match}})
	}
}

func (c *checker) retries(at path, r *networking.HTTPRetry) {
	c.notNegative(at.to("attempts"), r.Attempts)
	c.optionalDuration(at.to("perTryTimeout"), r.PerTryTimeout)
	c.optionalDuration(at.to("backoff"), r.Backoff)
	if r.Attempts == 0 && (r.PerTryTimeout != nil || r.RetryOn != "" || r.RetryRemoteLocalities != nil) {
		c.refuse(at, "0 attempts are no retries, which the other settings are for: set attempts, or take the rest away")
	}
	for word := range strings.SplitSeq(r.RetryOn, ",") {
		word = strings.TrimSpace(word)
		if _, err := strconv.Atoi(word); err != nil && word != "" && !slices.Contains(retryWords(), word) {
			c.refuse(at.to("retryOn"), "nothing is known as %q to retry on; %s", word, mesh.DidYouMean(word, retryWords()))
		}
	}
}

func retryWords() []string {
	return []string{
		"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx", "refused-stream", "retriable-status-codes",
		"retriable-headers", "http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
	}
}

func (c *checker) fault(at path, f *networking.HTTPFaultInjection) {
	if f.Abort == nil && f.Delay == nil {
		c.refuse(at, "a fault that says nothing: give it abort or delay")
	}
	if a := f.Abort; a != nil {
		c.share(at.to("abort", "percentage"), a.Percentage)
		status, ok := a.ErrorType.(*networking.HTTPFaultInjection_Abort_HttpStatus)
		if ok && (status.HttpStatus < 200 || status.HttpStatus > 599) {
			c.refuse(at.to("abort", "httpStatus"), "%d is no status to answer: expected 200 to 599", status.HttpStatus)
		}
		if a.ErrorType == nil {
			c.refuse(at.to("abort"), "an abort without a status: give it httpStatus or grpcStatus")
		}
	}
	if d := f.Delay; d != nil {
		c.share(at.to("delay", "percentage"), d.Percentage)
		c.optionalDuration(at.to("delay", "fixedDelay"), d.GetFixedDelay())
		if d.HttpDelayType == nil {
			c.refuse(at.to("delay"), "a delay of no length: give it fixedDelay")
		}
	}
}
