package live

import (
	"regexp"
	"strings"
)

// printed begins the text of a whole message, over many lines.
var printed = regexp.MustCompile("`?goo\\.gle/debug[a-z]*\\s*$")

// complaint is what Envoy gives as a reason: its critical lines, or the last one.
func complaint(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	for i, line := range lines {
		if _, reason, ok := strings.Cut(line, "][critical]"); ok {
			return behindMessage(strings.TrimSpace(reason), lines[i+1:])
		}
	}
	for _, line := range lines {
		if strings.HasPrefix(line, "error initializing configuration") {
			return line
		}
	}
	return lines[len(lines)-1]
}

// behindMessage is a reason in which Envoy prints all of the configuration before
// it says what is wrong with it: without the configuration.
func behindMessage(reason string, rest []string) string {
	if !printed.MatchString(reason) {
		return reason
	}
	for _, line := range rest {
		if why, ok := strings.CutPrefix(line, ": "); ok {
			return printed.ReplaceAllString(reason, "") + why
		}
	}
	return reason
}
