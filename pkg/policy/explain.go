package policy

import (
	"fmt"
	"slices"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Explanation is what a policy means, or all that applies to a workload, in
// sentences.
type Explanation struct {
	Subject   string          `json:"subject"` // such as AuthorizationPolicy shop/web
	At        report.Location `json:"at"`
	Sentences []Sentence      `json:"items"` // by topic, in the order of Topics
}

// Sentence says one thing of an Explanation.
type Sentence struct {
	Topic Topic  `json:"topic"`
	Text  string `json:"text"`
	// Object is what says so, Rule which of its rules, and At where; all are zero
	// where nothing in the files does.
	Object string          `json:"object,omitempty"`
	Rule   *int            `json:"rule,omitempty"`
	At     report.Location `json:"at,omitzero"`
}

// Topic is what a sentence is about.
type Topic string

// The topics.
const (
	OnSelection Topic = "selection" // which workloads a policy is for
	OnEffect    Topic = "effect"    // what it does with them
	OnSidecar   Topic = "sidecar"   // whether a workload has one
	OnTransport Topic = "mtls"
	OnCustom    Topic = "custom" // and so on, in the order in which a sidecar looks
	OnTokens    Topic = "tokens"
	OnAudit     Topic = "audit"
	OnDeny      Topic = "deny"
	OnAllow     Topic = "allow"
	OnRest      Topic = "rest" // what no rule has decided
	OnRules     Topic = "rules"
	OnStreams   Topic = "tcp"     // where bytes are no requests
	OnCaution   Topic = "caution" // what is easily overlooked
)

// Topics are all of them, in the order in which they are told.
func Topics() []Topic {
	return []Topic{
		OnSelection, OnEffect, OnSidecar, OnTransport, OnCustom, OnTokens, OnAudit, OnDeny, OnAllow, OnRest, OnRules, OnStreams, OnCaution,
	}
}

// Title is the topic's heading.
func (t Topic) Title() string {
	return map[Topic]string{
		OnSelection: "Whom it selects", OnEffect: "What it does", OnSidecar: "Who it is", OnTransport: "Mutual TLS", OnCustom: "CUSTOM",
		OnTokens: "Tokens", OnAudit: "AUDIT", OnDeny: "DENY", OnAllow: "ALLOW", OnRest: "Everything else", OnRules: "Rules",
		OnStreams: "TCP", OnCaution: "Worth knowing",
	}[t]
}

// ExplainSubject says what a policy or workload means.
func (s *Simulator) ExplainSubject(subject Subject) Explanation {
	t := &teller{Simulator: s}
	switch {
	case subject.Workload != nil:
		t.focus = subject.Workload
		t.workload(subject.Workload)
	case subject.Authorization != nil:
		t.own = subject.Authorization
		t.authorization(subject.Authorization)
	case subject.Peer != nil:
		t.peer(subject.Peer)
	case subject.Request != nil:
		t.request(subject.Request)
	}
	slices.SortStableFunc(t.sentences, func(a, b Sentence) int {
		return slices.Index(Topics(), a.Topic) - slices.Index(Topics(), b.Topic)
	})
	o := subject.Object()
	return Explanation{Subject: o.String(), At: o.Location, Sentences: t.sentences}
}

// teller collects sentences.
type teller struct {
	*Simulator
	own       *mesh.AuthorizationPolicy // the policy that is explained, if it is one
	focus     *mesh.Workload            // the workload that is explained
	sentences []Sentence
}

// say adds a sentence that nothing in the files says by itself.
func (t *teller) say(topic Topic, format string, args ...any) {
	t.sayBy(topic, Cause{}, format, args...)
}

// sayBy adds a sentence and what says so. The same is not said twice.
func (t *teller) sayBy(topic Topic, by Cause, format string, args ...any) {
	s := Sentence{Topic: topic, Text: fmt.Sprintf(format, args...), Object: by.Object, Rule: by.Rule, At: by.At}
	if !slices.ContainsFunc(t.sentences, func(old Sentence) bool { return old.Topic == s.Topic && old.Text == s.Text && old.At == s.At }) {
		t.sentences = append(t.sentences, s)
	}
}

// named are workloads by their names, few of them.
func named(workloads []*mesh.Workload) string {
	var all []string
	for _, w := range workloads {
		all = append(all, w.String())
	}
	return few(all)
}

// guarded are the workloads whose sidecars enforce policies here: gateways have
// listeners of their own, outside of this model.
func guarded(workloads []*mesh.Workload) []*mesh.Workload {
	return slices.DeleteFunc(slices.Clone(workloads), func(w *mesh.Workload) bool { return !w.Membership.Sidecar || w.IsGateway() })
}

// unguarded tells of the selected workloads on which a policy does nothing that
// is known here.
func (t *teller) unguarded(workloads []*mesh.Workload) {
	for _, w := range workloads {
		switch {
		case w.IsGateway():
			t.sayBy(OnSelection, causeOf(w.Object), "%s is a gateway; what its own listeners do is outside of this explanation.", w)
		case !w.Membership.Sidecar:
			t.sayBy(OnSelection, membershipCauses(w)[0], "%s has no sidecar (%s), so nothing is enforced there.", w, w.Membership.Describe())
		}
	}
	assumed := slices.DeleteFunc(guarded(workloads), func(w *mesh.Workload) bool { return w.Membership.Reason != mesh.Assumed })
	if len(assumed) > 0 {
		t.say(OnSelection, "Nothing in the files says whether %s %s a sidecar; it is assumed.", named(assumed), has(len(assumed)))
	}
}

func has(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}
