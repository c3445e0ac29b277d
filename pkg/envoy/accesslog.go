package envoy

import (
	"encoding/json"
	"fmt"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	fileaccesslog "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// LogEntry is a line of the access log that the static form writes: one for each
// request, at either end, and one for each connection that came in, when it
// ends.
type LogEntry struct {
	Workload string `json:"workload"` // NAMESPACE/NAME
	Scope    string `json:"scope"`    // request, connection, or client
	// Peer is the address and port of the other end of the connection, whatever
	// headers and the PROXY protocol say.
	Peer string `json:"peer"`
	// Local is where the other end wanted to go: the listener's address, or what the
	// PROXY protocol says.
	Local      string `json:"local"`
	Connection int64  `json:"connection"` // its ID, of one run of Envoy
	Chain      string `json:"chain"`      // name of the filter chain
	Code       int    `json:"code"`       // HTTP status; of gRPC denials 200
	Details    string `json:"details"`    // why the status is what it is
	Ended      string `json:"ended"`      // why the connection ended
	TLSFailure string `json:"tlsFailure"` // why the handshake failed
	Flags      string `json:"flags"`
	// ID is that of a request, which it keeps from sidecar to sidecar.
	ID string `json:"id"`
	// Start is when the request or connection began, in seconds of Unix time.
	Start string `json:"start"`
	// Upstream is where a request or connection was sent, from UpstreamSource.
	Upstream       string `json:"upstream"`
	UpstreamSource string `json:"upstreamSource"`
	// HTTP and TCP are what the RBAC filters noted.
	HTTP map[string]string `json:"http"`
	TCP  map[string]string `json:"tcp"`
}

// Scopes of a LogEntry.
const (
	RequestScope    = "request"
	ConnectionScope = "connection"
	ClientScope     = "client" // a request that the workload sends
)

// ParseLogEntry reads a line of the access log.
func ParseLogEntry(line []byte) (LogEntry, error) {
	var e LogEntry
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("access log: %w", err)
	}
	return e, nil
}

// notes are what the RBAC filters of a chain of the entry's kind left.
func (e *LogEntry) notes() map[string]string {
	if e.Scope == ConnectionScope {
		return e.TCP
	}
	return e.HTTP
}

// noted are the results of some shadow rules: whether they would have let the
// request pass, allowed or denied, and the rule that matched. Both are empty if
// there are none, or they were not reached.
func (e *LogEntry) noted(prefix string) (result, rule string) {
	return e.notes()[prefix+"shadow_engine_result"], e.notes()[prefix+"shadow_effective_policy_id"]
}

// DryRunAllow are the results of dry-run ALLOW policies (AP-69).
func (e *LogEntry) DryRunAllow() (result, rule string) { return e.noted(shadowAllow) }

// DryRunDeny are the results of dry-run DENY policies (AP-69).
func (e *LogEntry) DryRunDeny() (result, rule string) { return e.noted(shadowDeny) }

// Custom is the CUSTOM rule that matched (AP-60).
func (e *LogEntry) Custom() (result, rule string) { return e.noted(shadowCustom) }

// Allowed is the ALLOW rule that let the request pass.
func (e *LogEntry) Allowed() string {
	if e.Scope == ConnectionScope {
		_, rule := e.noted(enforcedAllow)
		return rule
	}
	return e.HTTP[enforcedAllow+"enforced_effective_policy_id"]
}

// Prefixes of the metadata that enforced rules leave in the static form. Without
// them each action would write over what the one before wrote.
const (
	enforcedAudit = "audit_"
	enforcedDeny  = "deny_"
	enforcedAllow = "allow_"
)

// accessLog writes LogEntries of a scope.
func accessLog(path, workload, scope string) *accesslogv3.AccessLog {
	text := structpb.NewStringValue
	fields := map[string]*structpb.Value{
		"workload":   text(workload),
		"scope":      text(scope),
		"peer":       text("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"),
		"local":      text("%DOWNSTREAM_LOCAL_ADDRESS%"),
		"connection": text("%CONNECTION_ID%"),
		"chain":      text("%FILTER_CHAIN_NAME%"),
		"code":       text("%RESPONSE_CODE%"),
		"details":    text("%RESPONSE_CODE_DETAILS%"),
		"ended":      text("%CONNECTION_TERMINATION_DETAILS%"),
		"tlsFailure": text("%DOWNSTREAM_TRANSPORT_FAILURE_REASON%"),
		"flags":      text("%RESPONSE_FLAGS%"),
		"id":         text("%REQ(X-REQUEST-ID)%"),
		"start":      text("%START_TIME(%s.%6f)%"),
		"upstream":   text("%UPSTREAM_HOST%"),

		"upstreamSource": text("%UPSTREAM_LOCAL_ADDRESS%"),
		"http":           text("%DYNAMIC_METADATA(" + httpRBAC + ")%"),
		"tcp":            text("%DYNAMIC_METADATA(" + tcpRBAC + ")%"),
	}
	return &accesslogv3.AccessLog{
		Name: "envoy.access_loggers.file",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: packed(&fileaccesslog.FileAccessLog{
			Path: path,
			AccessLogFormat: &fileaccesslog.FileAccessLog_LogFormat{LogFormat: &corev3.SubstitutionFormatString{
				Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: &structpb.Struct{Fields: fields}},
			}},
		})},
	}
}
