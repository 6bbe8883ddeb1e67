package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// remembered is a resource that a start or an update has deployed, as the next
// one finds it.
type remembered struct {
	Type   string
	Ref    string
	Retain bool // its DeletionPolicy
}

func rememberedKey() store.Key { return store.NewKey("local.deployed") }

// retire removes the resources that were deployed before and whose templates no
// longer ask for them, as CloudFormation does when a stack is
// updated: a rule that stayed would go on filling a queue that nobody reads.
// A resource whose DeletionPolicy is Retain stays. Then it remembers what is
// deployed now.
func (e *Environment) retire(ctx context.Context) error {
	var before, now []remembered
	saved, ok, err := e.store.Get(rememberedKey())
	if err != nil {
		return err
	}
	if ok {
		if err := json.Unmarshal(saved, &before); err != nil {
			return fmt.Errorf("what an earlier start deployed: %w", err)
		}
	}
	for _, stack := range e.deployed() {
		for _, r := range stack.Resources {
			now = append(now, remember(r))
		}
	}
	// In reverse, since a resource is created after what it depends on.
	for _, old := range slices.Backward(before) {
		stays := slices.ContainsFunc(now, func(r remembered) bool { return r.Type == old.Type && r.Ref == old.Ref })
		if stays || old.Retain {
			continue
		}
		if err := e.remove(ctx, old); err != nil {
			return fmt.Errorf("removing %s %s, which the templates no longer have: %w", old.Type, old.Ref, err)
		}
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	b := e.store.NewBatch()
	b.Set(rememberedKey(), text)
	return b.Commit()
}

func remember(r cloudformation.Deployed) remembered {
	out := remembered{Type: r.Type, Ref: r.Ref, Retain: r.DeletionPolicy == "Retain"}
	if r.Type == "AWS::SQS::Queue" {
		out.Ref = path.Base(r.Ref) // the URL changes with the port
	}
	return out
}

// remove deletes a resource; one that is gone already is not an error. A
// mapping's batches that have begun finish first. Tables stay, unlike on AWS: a
// table that no template asks for changes nothing, and its data may be missed.
// So do the logs of a function. Other types leave nothing behind when they are
// no longer created.
func (e *Environment) remove(ctx context.Context, r remembered) error {
	switch r.Type {
	case "AWS::Events::Rule":
		bus, name, _ := strings.Cut(r.Ref, "|")
		return e.events.DeleteRule(bus, name)
	case "AWS::Events::EventBus":
		return e.events.DeleteBus(r.Ref)
	case "AWS::SQS::Queue":
		err := e.sqs.DeleteQueue(r.Ref)
		var refused *awswire.Error
		if errors.As(err, &refused) && refused.Code == "QueueDoesNotExist" {
			return nil
		}
		return err
	case "AWS::Lambda::EventSourceMapping":
		return e.lambda.DeleteMapping(ctx, r.Ref)
	case "AWS::Lambda::Permission":
		e.lambda.DeletePermission(r.Ref)
	case "AWS::Lambda::Function":
		e.lambda.DeleteFunction(r.Ref)
	}
	return nil
}
