package report

import "fmt"

// Coverage tells which rules of policies the cases of tests exercised.
type Coverage struct {
	Rules []RuleCoverage `json:"items"`
}

// RuleCoverage is one rule of a policy.
type RuleCoverage struct {
	Policy   string   `json:"policy"` // NAMESPACE/NAME
	Action   string   `json:"action"`
	Rule     int      `json:"rule"` // its number, from 0
	Location Location `json:"at"`
	Reach    Reach    `json:"status"`
	// Cases is how many cases had a request that the rule matches.
	Cases int `json:"cases"`
}

// Name is the rule as tests write it.
func (r RuleCoverage) Name() string { return fmt.Sprintf("%s#%d", r.Policy, r.Rule) }

// Reach is whether tests reach a rule, or can.
type Reach string

// The reaches. Rules that are neither Exercised nor Unexercised cannot be
// reached by any test, and do not count.
const (
	Exercised   Reach = "exercised"
	Unexercised Reach = "unexercised"
	Unselected  Reach = "unselected" // the policy selects no workload
	Unguarded   Reach = "unguarded"  // it selects only workloads without a sidecar
	Dropped     Reach = "dropped"    // istiod leaves the rule out: it cannot be expressed
)

// Describe says it in words.
func (r Reach) Describe() string {
	return map[Reach]string{
		Exercised: "exercised", Unexercised: "not exercised", Unselected: "selects no workload",
		Unguarded: "selects no workload with a sidecar", Dropped: "istiod leaves it out",
	}[r]
}

// Counts is how many rules some case exercised, of how many that can be.
func (c Coverage) Counts() (exercised, total int) {
	for _, r := range c.Rules {
		switch r.Reach {
		case Exercised:
			exercised++
			total++
		case Unexercised:
			total++
		}
	}
	return exercised, total
}

// Percent is how many of a hundred rules that can be exercised are. It is 100
// if there are none.
func (c Coverage) Percent() float64 {
	exercised, total := c.Counts()
	if total == 0 {
		return 100
	}
	return 100 * float64(exercised) / float64(total)
}

// String is a line such as "7 of 9 rules exercised, 77.7 %". What is short of
// all is never rounded to all.
func (c Coverage) String() string {
	exercised, total := c.Counts()
	if total == 0 {
		return "no rules to exercise" + c.outside()
	}
	return fmt.Sprintf("%d of %s exercised, %d.%d %%%s", exercised, counted(total, "rule"), 100*exercised/total, 1000*exercised/total%10, c.outside())
}

// outside tells of the rules that do not count.
func (c Coverage) outside() string {
	_, total := c.Counts()
	if n := len(c.Rules) - total; n > 0 {
		return fmt.Sprintf("; %s out of reach", counted(n, "rule"))
	}
	return ""
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
