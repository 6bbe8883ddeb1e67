package queue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// client makes calls to SQS: JSON over HTTP, signed ("Making query API requests
// using AWS JSON protocol", Amazon SQS Developer Guide). It makes the attempts
// that the SDK's standard retry mode would.
type client struct {
	cfg    aws.Config
	signer *v4.Signer
}

func newClient(cfg aws.Config) *client { return &client{cfg, v4.NewSigner()} }

// address is where a queue is.
type address struct{ partition, region, account, name string }

// parseAddress reads a queue's ARN.
func parseAddress(queueARN string) (address, error) {
	part := strings.Split(queueARN, ":")
	if len(part) != 6 || part[0] != "arn" || part[2] != "sqs" || part[3] == "" || part[4] == "" || part[5] == "" {
		return address{}, fmt.Errorf("queue: %q is not the ARN of a queue, arn:aws:sqs:REGION:ACCOUNT:NAME", queueARN)
	}
	return address{partition: part[1], region: part[3], account: part[4], name: part[5]}, nil
}

// endpoint is the address of SQS itself ("Amazon SQS endpoints and quotas").
func (c *client) endpoint(q address) (string, error) {
	if e := c.cfg.BaseEndpoint; e != nil {
		return strings.TrimSuffix(*e, "/"), nil
	}
	switch q.partition {
	case "aws", "aws-us-gov":
		return "https://sqs." + q.region + ".amazonaws.com", nil
	case "aws-cn":
		return "https://sqs." + q.region + ".amazonaws.com.cn", nil
	}
	return "", fmt.Errorf("the endpoint of SQS in partition %q is not known: set AWS_ENDPOINT_URL", q.partition)
}

// call makes one call about a queue, and up to two more if it may succeed
// later. in is the operation's input besides QueueUrl, out its output.
func (c *client) call(ctx context.Context, q address, operation string, in map[string]any, out any) error {
	endpoint, err := c.endpoint(q)
	if err != nil {
		return err
	}
	in["QueueUrl"] = endpoint + "/" + q.account + "/" + q.name
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		answer, again, err := c.attempt(ctx, endpoint, q.region, operation, body)
		if err == nil {
			return json.Unmarshal(answer, out)
		}
		if !again || attempt == maxAttempts || !sleep(ctx, rand.N(firstWait<<attempt)) {
			return fmt.Errorf("%s: %w", operation, err)
		}
	}
}

const (
	maxAttempts = 3
	firstWait   = 20 * time.Millisecond // the bound of the first wait is twice that
	maxAnswer   = 1 << 20               // an answer to ten entries is far below it
)

// attempt sends a call once; again says whether another attempt may succeed.
func (c *client) attempt(ctx context.Context, endpoint, region, operation string, body []byte) (answer []byte, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, false, err
	}
	hash := sha256.Sum256(body)
	if err := c.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(hash[:]), "sqs", region, time.Now()); err != nil {
		return nil, false, err
	}
	resp, err := c.cfg.HTTPClient.Do(req)
	if err != nil {
		return nil, ctx.Err() == nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, ctx.Err() == nil, err
	case resp.StatusCode == http.StatusOK:
		return answer, false, nil
	}
	// {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": …}
	var fault struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(answer, &fault) // what is no JSON comes from something in between
	code := fault.Type[strings.LastIndexByte(fault.Type, '#')+1:]
	again = resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || strings.Contains(code, "Throttl")
	if code == "" {
		return nil, again, fmt.Errorf("SQS answered %s", resp.Status)
	}
	return nil, again, fmt.Errorf("SQS answered %s: %s: %s", resp.Status, code, fault.Message)
}

// sleep waits for d, and reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
