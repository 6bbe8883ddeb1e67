package lambda

import (
	"cmp"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Register puts Lambda's REST API on the mux: what the local environment
// serves of it, and for everything else an error that names the request.
func (l *Lambda) Register(mux *awswire.Mux) {
	const root = "/2015-03-31/"
	handle := func(pattern string, fn func(*http.Request) (*answer, error)) {
		mux.Path(pattern, handler{fn, l.cfg.Logger})
	}
	handle("POST "+root+"functions/{name}/invocations", l.serveInvoke)
	handle("GET "+root+"functions/{name}/configuration", l.serveGetFunctionConfiguration)
	for _, slash := range []string{"", "/{$}"} { // older SDKs send a slash
		handle("GET "+root+"functions"+slash, l.serveListFunctions)
		handle("GET "+root+"event-source-mappings"+slash, l.serveListMappings)
	}
	handle("GET "+root+"event-source-mappings/{uuid}", l.serveGetMapping)
	handle("PUT "+root+"event-source-mappings/{uuid}", l.serveUpdateMapping)
	handle(root, func(r *http.Request) (*answer, error) {
		return nil, &awswire.Error{Code: "UnknownOperationException", Status: http.StatusNotFound,
			Message: "Lambda operation " + r.Method + " " + r.URL.Path + " is not supported by the local environment"}
	})
}

// answer is a successful response: body as it is, or value as JSON.
type answer struct {
	status int // 0: 200
	header map[string]string
	body   []byte
	value  any
}

// handler writes what fn answers.
type handler struct {
	fn     func(*http.Request) (*answer, error)
	logger *slog.Logger
}

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := h.fn(r)
	if err == nil && a.value != nil {
		a.body, err = json.Marshal(a.value)
	}
	if err != nil {
		var e *awswire.Error
		if !errors.As(err, &e) {
			h.logger.Error("an operation of the local environment failed", "operation", r.Method+" "+r.URL.Path, "error", err)
			e = &awswire.Error{Code: "ServiceException", Status: http.StatusInternalServerError, Message: err.Error()}
		}
		awswire.WriteError(w, withType(e))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(a.body)
}

// withType adds what Lambda's errors say besides their message: whose fault it
// is ("ResourceNotFoundException" and its like in the Lambda API reference).
func withType(e *awswire.Error) *awswire.Error {
	out := *e
	out.Fields = map[string]any{"Type": "User"}
	if e.Status >= http.StatusInternalServerError {
		out.Fields["Type"] = "Service"
	}
	maps.Copy(out.Fields, e.Fields)
	return &out
}

func unsupported(format string, args ...any) *awswire.Error {
	e := invalid(format, args...)
	e.Message += " is not supported by the local environment"
	return e
}

// parameters returns the query parameters, which must be among those allowed.
func parameters(r *http.Request, allowed ...string) (url.Values, error) {
	query := r.URL.Query()
	for name := range query {
		if !slices.Contains(allowed, name) {
			return nil, unsupported("parameter %s", name)
		}
	}
	return query, nil
}

// authorize asks whether the sender of a request may perform an action, like
// InvokeFunction, on the resource with the given ARN, or "*". function, if not
// empty, is that of a mapping.
func (l *Lambda) authorize(r *http.Request, action, resource, function string) error {
	return awswire.Authorize(r.Context(), awswire.Access{
		Action: "lambda:" + action, Resource: resource,
		Keys: func(key string) []string {
			if key != "lambda:functionarn" || function == "" {
				return nil
			}
			return []string{l.functionARN(function)}
		},
	})
}

// authorized finds the function of a request's path, if its sender may perform
// the action on it.
func (l *Lambda) authorized(r *http.Request, action, qualifier string) (*function, error) {
	name, _ := nameOf(r.PathValue("name"))
	if err := l.authorize(r, action, l.functionARN(name), ""); err != nil {
		return nil, err
	}
	return l.find(r.PathValue("name"), qualifier)
}

// authorizedMapping finds the mapping of a request's path, if its sender may
// perform the action on it.
func (l *Lambda) authorizedMapping(r *http.Request, action string) (MappingStatus, error) {
	id := r.PathValue("uuid")
	m, err := l.Mapping(id)
	if refused := l.authorize(r, action, l.mappingARN(id), m.Function); refused != nil {
		return MappingStatus{}, refused
	}
	return m, err
}

// nameOf returns the name and the version in a function's identifier, see find.
func nameOf(identifier string) (name, version string) {
	name = identifier
	if _, rest, isARN := strings.Cut(identifier, ":function:"); isARN {
		name = rest
	}
	name, version, _ = strings.Cut(name, ":")
	return name, version
}

// find returns the function that an identifier names: a name, an ARN, or the
// end of one from the account on; with $LATEST for a version, or none.
func (l *Lambda) find(identifier, qualifier string) (*function, error) {
	name, version := nameOf(identifier)
	l.mu.Lock()
	f := l.functions[name]
	l.mu.Unlock()
	for _, v := range []string{version, qualifier} {
		if v != "" && v != "$LATEST" {
			return nil, notFound("Function not found: %s:%s", l.functionARN(name), v)
		}
	}
	if f == nil {
		return nil, notFound("Function not found: %s", l.functionARN(name))
	}
	return f, nil
}

func (l *Lambda) serveInvoke(r *http.Request) (*answer, error) {
	query, err := parameters(r, "Qualifier")
	if err != nil {
		return nil, err
	}
	kind := r.Header.Get("X-Amz-Invocation-Type")
	switch kind {
	case "", "RequestResponse", "Event", "DryRun":
	default:
		return nil, invalid("InvocationType %s: RequestResponse, Event or DryRun", kind)
	}
	for header, parameter := range map[string]string{
		"X-Amz-Client-Context": "ClientContext", "X-Amz-Tenant-Id": "TenantId", "X-Amz-Durable-Execution-Name": "DurableExecutionName",
	} {
		if r.Header.Get(header) != "" {
			return nil, unsupported("parameter %s", parameter)
		}
	}
	logType := r.Header.Get("X-Amz-Log-Type")
	if logType != "" && logType != "None" && logType != "Tail" {
		return nil, invalid("LogType %s: None or Tail", logType)
	}
	f, err := l.authorized(r, "InvokeFunction", query.Get("Qualifier"))
	if err != nil {
		return nil, err
	}
	payload, err := io.ReadAll(r.Body)
	if more := (*http.MaxBytesError)(nil); errors.As(err, &more) {
		return nil, tooLarge("Request must be smaller than %d bytes for the InvokeFunction operation", maxPayload)
	}
	if err != nil {
		return nil, awswire.Errorf("InvalidRequestContentException", "reading the payload: %v", err)
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if len(payload) <= maxPayload && !jsontext.Value(payload).IsValid() {
		return nil, awswire.Errorf("InvalidRequestContentException", "Could not parse request body into json")
	}
	switch kind {
	case "DryRun":
		return &answer{status: http.StatusNoContent}, nil
	case "Event":
		id, err := l.InvokeAsync(f.Name, payload)
		return &answer{status: http.StatusAccepted, header: map[string]string{"x-amzn-RequestId": id}}, err
	}
	// An invocation goes on if its caller goes away. It is l.Close that ends
	// it then, by killing the program.
	result, err := l.run(l.ctx, invokeInput{requestID: uuid.NewString(), function: f.Name, payload: payload, wantTail: logType == "Tail"})
	if err != nil {
		return nil, err
	}
	a := &answer{body: result.Payload, header: map[string]string{"x-amzn-RequestId": result.RequestID, "X-Amz-Executed-Version": "$LATEST"}}
	if result.FunctionError != "" {
		a.header["X-Amz-Function-Error"] = result.FunctionError
	}
	if logType == "Tail" {
		a.header["X-Amz-Log-Result"] = base64.StdEncoding.EncodeToString(result.LogTail)
	}
	return a, nil
}

type functionConfiguration struct {
	Architectures    []string
	CodeSha256       string
	CodeSize         int64
	Description      string
	Environment      *environmentVariables `json:",omitzero"`
	FunctionArn      string
	FunctionName     string
	Handler          string
	LastModified     string
	LastUpdateStatus string
	LoggingConfig    loggingConfig
	MemorySize       int
	PackageType      string
	Role             string
	Runtime          string
	State            string
	Timeout          int
	Version          string
}

type environmentVariables struct{ Variables map[string]string }

type loggingConfig struct{ LogFormat, LogGroup string }

func (f *function) configuration() (*functionConfiguration, error) {
	code, err := f.code()
	if err != nil {
		return nil, err
	}
	out := &functionConfiguration{
		Architectures:    []string{architecture},
		CodeSha256:       code.sha256,
		CodeSize:         code.size,
		Description:      f.Description,
		FunctionArn:      f.arn,
		FunctionName:     f.Name,
		Handler:          f.Handler,
		LastModified:     f.modified.UTC().Format("2006-01-02T15:04:05.000+0000"),
		LastUpdateStatus: "Successful",
		LoggingConfig:    loggingConfig{"Text", f.LogGroup},
		MemorySize:       f.MemoryMB,
		PackageType:      "Zip",
		Role:             f.RoleARN,
		Runtime:          runtimeName,
		State:            "Active",
		Timeout:          int(f.Timeout / time.Second),
		Version:          "$LATEST",
	}
	if len(f.Environment) > 0 {
		out.Environment = &environmentVariables{f.Environment}
	}
	return out, nil
}

func (l *Lambda) serveGetFunctionConfiguration(r *http.Request) (*answer, error) {
	query, err := parameters(r, "Qualifier")
	if err != nil {
		return nil, err
	}
	f, err := l.authorized(r, "GetFunctionConfiguration", query.Get("Qualifier"))
	if err != nil {
		return nil, err
	}
	configuration, err := f.configuration()
	return &answer{value: configuration}, err
}

// page cuts a list that is ordered by key to the page that a request asks
// for. The marker is the last key of the page before.
func page[T any](query url.Values, most int, all []T, key func(T) string) (items []T, next string, err error) {
	limit := most
	if text := query.Get("MaxItems"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			return nil, "", invalid("MaxItems %s: 1 to 10,000", text)
		}
		limit = min(n, most)
	}
	if marker := query.Get("Marker"); marker != "" {
		i := slices.IndexFunc(all, func(t T) bool { return key(t) > marker })
		if i < 0 {
			i = len(all)
		}
		all = all[i:]
	}
	if len(all) > limit {
		all = all[:limit]
		next = key(all[limit-1])
	}
	return all, next, nil
}

func (l *Lambda) serveListFunctions(r *http.Request) (*answer, error) {
	query, err := parameters(r, "Marker", "MaxItems")
	if err != nil {
		return nil, err
	}
	if err := l.authorize(r, "ListFunctions", "*", ""); err != nil {
		return nil, err
	}
	l.mu.Lock()
	all := make([]*function, 0, len(l.functions))
	for _, f := range l.functions {
		all = append(all, f)
	}
	l.mu.Unlock()
	slices.SortFunc(all, func(a, b *function) int { return strings.Compare(a.Name, b.Name) })
	functions, next, err := page(query, 50, all, func(f *function) string { return f.Name })
	if err != nil {
		return nil, err
	}
	out := struct {
		Functions  []*functionConfiguration
		NextMarker string `json:",omitempty"`
	}{NextMarker: next}
	for _, f := range functions {
		configuration, err := f.configuration()
		if err != nil {
			return nil, err
		}
		out.Functions = append(out.Functions, configuration)
	}
	return &answer{value: out}, nil
}

type mappingConfiguration struct {
	BatchSize                      int
	BisectBatchOnFunctionError     *bool              `json:",omitzero"`
	DestinationConfig              *destinationConfig `json:",omitzero"`
	EventSourceArn                 string
	EventSourceMappingArn          string
	FilterCriteria                 *filterCriteria `json:",omitzero"`
	FunctionArn                    string
	FunctionResponseTypes          []string
	LastModified                   float64 // seconds since 1970
	MaximumBatchingWindowInSeconds int
	MaximumRecordAgeInSeconds      *int           `json:",omitzero"`
	MaximumRetryAttempts           *int           `json:",omitzero"`
	MetricsConfig                  *metricsConfig `json:",omitzero"`
	ParallelizationFactor          *int           `json:",omitzero"`
	ScalingConfig                  *scalingConfig `json:",omitzero"`
	StartingPosition               string         `json:",omitempty"`
	State                          string
	StateTransitionReason          string
	UUID                           string
}

func (l *Lambda) mappingARN(id string) string {
	return "arn:aws:lambda:" + l.cfg.Region + ":" + l.cfg.Account + ":event-source-mapping:" + id
}

type scalingConfig struct{ MaximumConcurrency int }

type metricsConfig struct{ Metrics []string }

type destinationConfig struct{ OnFailure destination }

type destination struct{ Destination string }

type filterCriteria struct{ Filters []filter }

type filter struct{ Pattern string }

func (l *Lambda) configuration(m MappingStatus) *mappingConfiguration {
	out := &mappingConfiguration{
		BatchSize:                      m.BatchSize,
		EventSourceArn:                 m.SourceARN,
		EventSourceMappingArn:          l.mappingARN(m.UUID),
		FunctionArn:                    l.functionARN(m.Function),
		FunctionResponseTypes:          []string{},
		LastModified:                   float64(m.LastModified.UnixMilli()) / 1000,
		MaximumBatchingWindowInSeconds: int(m.Window / time.Second),
		State:                          m.State,
		StateTransitionReason:          "USER_INITIATED",
		UUID:                           m.UUID,
	}
	if m.ReportBatchItemFailures {
		out.FunctionResponseTypes = []string{"ReportBatchItemFailures"}
	}
	if m.MaximumConcurrency != 0 {
		out.ScalingConfig = &scalingConfig{m.MaximumConcurrency}
	}
	if m.EventCountMetrics {
		out.MetricsConfig = &metricsConfig{[]string{eventCount}}
	}
	if !m.isQueue() {
		out.StateTransitionReason = "User action"
		age := -1
		if m.MaximumRecordAge > 0 {
			age = int(m.MaximumRecordAge / time.Second)
		}
		out.MaximumRecordAgeInSeconds = &age
		out.BisectBatchOnFunctionError = &m.BisectBatchOnFunctionError
		out.MaximumRetryAttempts = m.MaximumRetryAttempts
		out.ParallelizationFactor = &m.ParallelizationFactor
		out.StartingPosition = m.StartingPosition
		if m.OnFailure != "" {
			out.DestinationConfig = &destinationConfig{destination{m.OnFailure}}
		}
	}
	if len(m.FilterPatterns) > 0 {
		out.FilterCriteria = &filterCriteria{}
		for _, pattern := range m.FilterPatterns {
			out.FilterCriteria.Filters = append(out.FilterCriteria.Filters, filter{pattern})
		}
	}
	return out
}

func (l *Lambda) serveListMappings(r *http.Request) (*answer, error) {
	query, err := parameters(r, "EventSourceArn", "FunctionName", "Marker", "MaxItems")
	if err != nil {
		return nil, err
	}
	if err := l.authorize(r, "ListEventSourceMappings", "*", ""); err != nil {
		return nil, err
	}
	name := ""
	if identifier := query.Get("FunctionName"); identifier != "" {
		f, err := l.find(identifier, "")
		if err != nil {
			return nil, err
		}
		name = f.Name
	}
	all := slices.DeleteFunc(l.Mappings(), func(m MappingStatus) bool {
		return name != "" && m.Function != name || query.Has("EventSourceArn") && m.SourceARN != query.Get("EventSourceArn")
	})
	slices.SortFunc(all, func(a, b MappingStatus) int { return strings.Compare(a.UUID, b.UUID) })
	mappings, next, err := page(query, 100, all, func(m MappingStatus) string { return m.UUID })
	if err != nil {
		return nil, err
	}
	out := struct {
		EventSourceMappings []*mappingConfiguration
		NextMarker          string `json:",omitempty"`
	}{NextMarker: next}
	for _, m := range mappings {
		out.EventSourceMappings = append(out.EventSourceMappings, l.configuration(m))
	}
	return &answer{value: out}, nil
}

func (l *Lambda) serveGetMapping(r *http.Request) (*answer, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	m, err := l.authorizedMapping(r, "GetEventSourceMapping")
	return &answer{value: l.configuration(m)}, err
}

func (l *Lambda) serveUpdateMapping(r *http.Request) (*answer, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var in struct {
		Enabled                        *bool
		BatchSize                      *int
		MaximumBatchingWindowInSeconds *int
		ScalingConfig                  *struct{ MaximumConcurrency *int }
		MetricsConfig                  *struct{ Metrics []string }
	}
	if err := awswire.Decode(body, &in); err != nil {
		return nil, err
	}
	update := MappingUpdate{Enabled: in.Enabled, BatchSize: in.BatchSize}
	if n := in.MaximumBatchingWindowInSeconds; n != nil {
		update.Window = new(time.Duration(*n) * time.Second)
	}
	if c := in.ScalingConfig; c != nil { // an empty one removes the bound
		update.MaximumConcurrency = cmp.Or(c.MaximumConcurrency, new(int))
	}
	if c := in.MetricsConfig; c != nil {
		counts, err := EventCountIn(c.Metrics)
		if err != nil {
			return nil, err
		}
		update.EventCountMetrics = &counts
	}
	m, err := l.authorizedMapping(r, "UpdateEventSourceMapping")
	if err != nil {
		return nil, err
	}
	m, err = l.UpdateMapping(m.UUID, update)
	return &answer{status: http.StatusAccepted, value: l.configuration(m)}, err
}
