package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// strangeSettings refuses the keys of a settings file that set nothing: a slip
// would be lost without a word. Keys that begin with "x-" are the user's own.
func strangeSettings(root *cobra.Command, settings map[string]any) error {
	all, sections := settingsOf(root)
	var problems []error
	check := func(prefix, key string, known map[string]bool) {
		if known[key] || strings.HasPrefix(key, "x-") {
			return
		}
		hint := "it is neither a flag nor a command"
		if prefix != "" {
			hint = "the command has no such flag"
		}
		if near := mesh.Nearest(key, slices.Sorted(maps.Keys(known))); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		problems = append(problems, fmt.Errorf("unknown key %q: %s", prefix+key, hint))
	}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		section, nested := settings[key].(map[string]any)
		if !nested || sections[key] == nil {
			check("", key, all)
			continue
		}
		for _, inner := range slices.Sorted(maps.Keys(section)) {
			check(key+".", inner, sections[key])
		}
	}
	return errors.Join(problems...)
}

// settingsOf are the keys that a settings file may have: at its top the flags of
// all commands and the commands, and in the section of a command its flags and
// those of the commands below it.
func settingsOf(c *cobra.Command) (all map[string]bool, sections map[string]map[string]bool) {
	all, sections = map[string]bool{}, map[string]map[string]bool{}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { all[f.Name] = true })
	for _, below := range c.Commands() {
		flags, inner := settingsOf(below)
		inner[below.Name()] = flags
		for name, known := range inner {
			if sections[name] == nil {
				sections[name] = map[string]bool{}
			}
			maps.Copy(sections[name], known)
			all[name] = true
		}
		maps.Copy(all, flags)
	}
	return all, sections
}
