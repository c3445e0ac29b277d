package policy

import "strings"

// conditionWords says what a condition wants.
func (r *Rule) conditionWords(f *Field) string {
	if name, ok := callerConditions()[f.Name]; ok {
		return r.callerWords(name, f)
	}
	values := formsOf(f.Values)
	switch name := f.Name; {
	case name == "destination.ip":
		return "the workload's own address " + inBlocks(r.written(f), f.Negative)
	case name == "destination.port":
		return "the port " + predicateOf(r.written(f), f.Negative)
	case name == "connection.sni":
		return "the connection's server name (SNI) " + values.predicate(plainVerbs(), f.Negative)
	case strings.HasPrefix(name, "request.headers"):
		header, _ := bracketed(strings.TrimPrefix(name, "request.headers"))
		return "the header " + shown(header) + " " + values.predicate(plainVerbs(), f.Negative)
	case name == "request.auth.audiences":
		return "the token's audience " + claimWords(values, f.Negative)
	case name == "request.auth.presenter":
		return "the token's presenter (azp) " + claimWords(values, f.Negative)
	case strings.HasPrefix(name, "request.auth.claims"):
		keys, _ := claimKeys(name)
		return "the token's claim " + strings.Join(allShown(keys), " > ") + " " + claimWords(values, f.Negative)
	}
	return f.Name + " " + values.predicate(plainVerbs(), f.Negative)
}

// callerConditions are the conditions that say what a field of "from" can say
// too.
func callerConditions() map[string]string {
	return map[string]string{
		"source.ip": "ipBlocks", "remote.ip": "remoteIpBlocks", "source.namespace": "namespaces", "source.principal": "principals",
		"source.serviceAccount": "serviceAccounts", "source.trustDomain": "trustDomains", "request.auth.principal": "requestPrincipals",
	}
}

// callerWords says what a field wants of the caller, by the name of its
// positive form.
func (r *Rule) callerWords(name string, f *Field) string {
	values := r.written(f)
	switch name {
	case "principals":
		return principalWords(values, f.Negative)
	case "namespaces":
		return likeWords("namespace", values, f.Negative)
	case "trustDomains":
		return likeWords("trust domain", values, f.Negative)
	case "serviceAccounts":
		return accountWords(values, r.Policy.Namespace, f.Negative)
	case "requestPrincipals":
		return tokenWords(values, f.Negative)
	case "ipBlocks":
		return "the connection's address " + inBlocks(values, f.Negative)
	case "remoteIpBlocks":
		return "the original client's address " + inBlocks(values, f.Negative)
	}
	return f.Name + " " + predicateOf(values, f.Negative)
}

func predicateOf(values []string, negative bool) string {
	if negative {
		return "is not " + either(allShown(values))
	}
	return "is " + either(allShown(values))
}

func inBlocks(values []string, negative bool) string {
	if negative {
		return "is not in " + either(allShown(values))
	}
	return "is in " + either(allShown(values))
}

// principalWords says which identity a caller has (AP-29).
func principalWords(values []string, negative bool) string {
	f := formsOf(values)
	if f.starts == nil && f.ends == nil && !f.any {
		return "the caller " + predicateOf(values, negative)
	}
	if len(values) == 1 && f.any {
		if negative {
			return "the caller has no identity (no mTLS)"
		}
		return "the caller has an identity (mTLS)"
	}
	v := plainVerbs()
	v.there, v.notThere = "is there at all (mTLS)", "is not there (no mTLS)"
	return "the caller's identity " + f.predicate(v, negative)
}

// likeWords is about a namespace or trust domain, in which stars may stand
// (AP-31, AP-33).
func likeWords(noun string, values []string, negative bool) string {
	var exact, like []string
	anything := false
	for _, v := range values {
		switch {
		case v == "*":
			anything = true
		case strings.Contains(v, "*"):
			like = append(like, shown(v))
		default:
			exact = append(exact, shown(v))
		}
	}
	is, has, between := "is ", "has an identity of any "+noun+" (mTLS)", " or "
	if negative {
		is, has, between = "is not ", "has no identity of a "+noun+" (no mTLS)", " and "
	}
	var all []string
	if exact != nil {
		all = append(all, "the caller's "+noun+" "+is+either(exact))
	}
	if like != nil {
		all = append(all, "the caller's "+noun+" "+is+"like "+either(like))
	}
	if anything {
		all = append(all, "the caller "+has)
	}
	return strings.Join(all, between)
}

// accountWords is about service accounts; a bare one is of the policy's own
// namespace (AP-32).
func accountWords(values []string, namespace string, negative bool) string {
	var full []string
	for _, v := range values {
		if !strings.Contains(v, "/") {
			v = namespace + "/" + v
		}
		full = append(full, shown(v))
	}
	if negative {
		return "the caller does not run as the service account " + either(full)
	}
	return "the caller runs as the service account " + either(full)
}

// tokenWords is about request principals: issuer and subject (AP-37).
func tokenWords(values []string, negative bool) string {
	var all []string
	for _, v := range values {
		all = append(all, principalOfToken(v))
	}
	if negative {
		return "there is no good token " + either(all)
	}
	return "there is a good token " + either(all)
}

func principalOfToken(v string) string {
	e, _ := requestPrincipal(v)
	issuer, subject := e.Kids[0].Test.String, e.Kids[1].Test.String
	part := func(m StringMatch, noun string) string {
		switch m.Form {
		case NonEmpty:
			return "any " + noun
		case Prefix:
			return indefinite(noun) + " that starts with " + shown(m.Value)
		case Suffix:
			return indefinite(noun) + " that ends in " + shown(m.Value)
		}
		return "the " + noun + " " + shown(m.Value)
	}
	return "of " + part(issuer, "issuer") + " for " + part(subject, "subject")
}

func indefinite(noun string) string {
	if strings.HasPrefix(noun, "i") {
		return "an " + noun
	}
	return "a " + noun
}

// claimWords is about a claim, which may be a list (AP-39).
func claimWords(f forms, negative bool) string {
	return f.predicate(verbs{
		is: "is or lists", isNot: "neither is nor lists", has: "is or lists what ", hasNot: "neither is nor lists what ",
		there: "is there", notThere: "is not there",
	}, negative)
}
