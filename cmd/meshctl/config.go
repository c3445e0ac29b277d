package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

const settingsFile = ".meshctl.yaml"

// peerVariables are the environment variables that the peer reads for the same
// settings; ours win.
func peerVariables() map[string]string {
	return map[string]string{
		"native-sidecars":   "ENABLE_NATIVE_SIDECARS",
		"compliance-policy": "COMPLIANCE_POLICY",
	}
}

// applySettings gives every flag that the command line leaves out its value
// from the environment or the settings file, if either has one. In the file a
// command's section wins over the top level.
func applySettings(cmd *cobra.Command) error {
	v := viper.NewWithOptions(viper.KeyDelimiter("::"))
	file, err := findSettings()
	if err != nil {
		return err
	}
	if file != "" {
		v.SetConfigFile(file)
		if err := v.ReadInConfig(); err != nil {
			return fmt.Errorf("settings: %s: %w", file, err)
		}
		if err := strangeSettings(cmd.Root(), v.AllSettings()); err != nil {
			return fmt.Errorf("settings: %s: %w", file, err)
		}
	}
	var problems []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" {
			return
		}
		names := []string{f.Name, "MESHCTL_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))}
		if peer, ok := peerVariables()[f.Name]; ok {
			names = append(names, peer)
		}
		if err := v.BindEnv(names...); err != nil {
			problems = append(problems, err)
			return
		}
		key, origin := f.Name, names[1]
		if os.Getenv(origin) == "" {
			key = sectionKey(v, cmd, f)
			origin = file + ": " + f.Name
		}
		if !v.IsSet(key) {
			return
		}
		f.Annotations = map[string][]string{fromSettings: {origin}}
		if err := setFlag(cmd.Flags(), f, v, key); err != nil {
			problems = append(problems, fmt.Errorf("settings: %s: %w", origin, err))
		}
	})
	return errors.Join(problems...)
}

// fromSettings marks the flags that the environment or the file has set.
const fromSettings = "meshctl.dev/from-settings"

// typed tells whether the command line itself gives a flag. Settings are for all
// commands, and may set what one of them has no use for.
func typed(cmd *cobra.Command, name string) bool {
	f := cmd.Flags().Lookup(name)
	return f != nil && f.Changed && f.Annotations[fromSettings] == nil
}

// sectionKey is where the file sets a flag: in the command's own section, in
// that of the command above it if the flag is the same there, or at the top.
func sectionKey(v *viper.Viper, cmd *cobra.Command, f *pflag.Flag) string {
	for c := cmd; c.HasParent(); c = c.Parent() {
		same := c.Flags().Lookup(f.Name)
		if same == nil || same.Usage != f.Usage {
			break
		}
		if key := c.Name() + "::" + f.Name; v.IsSet(key) {
			return key
		}
	}
	return f.Name
}

func setFlag(flags *pflag.FlagSet, f *pflag.Flag, v *viper.Viper, key string) error {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		values := v.GetStringSlice(key)
		if text, single := v.Get(key).(string); single {
			values = strings.Split(text, ",")
		}
		f.Changed = true
		return list.Replace(values)
	}
	return flags.Set(f.Name, v.GetString(key))
}

// findSettings is the nearest settings file from the current directory
// upwards, else the user's own; "" if there is none.
func findSettings() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		file := filepath.Join(dir, settingsFile)
		if _, err := os.Stat(file); err == nil {
			return file, nil
		} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return "", err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	if config, err := os.UserConfigDir(); err == nil {
		file := filepath.Join(config, "meshctl", "config.yaml")
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", nil
}
