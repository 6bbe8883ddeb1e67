package scenarios

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// archive makes an archive of a bus, whose name it returns.
func (r *run) archive(bus *string) *string {
	name := str(r.name("archive"))
	r.see(r.events.CreateArchive(r.ctx, &eventbridge.CreateArchiveInput{ArchiveName: name, EventSourceArn: r.busARN(bus), RetentionDays: new(int32(3)), Description: str("all"), EventPattern: str(`{"source":["shop"]}`)}))
	r.later(func() error {
		_, err := r.events.DeleteArchive(r.ctx, &eventbridge.DeleteArchiveInput{ArchiveName: name})
		return ignore[*types.ResourceNotFoundException](err)
	})
	return name
}

func (r *run) busARN(bus *string) *string {
	return must(r.events.DescribeEventBus(r.ctx, &eventbridge.DescribeEventBusInput{Name: bus})).Arn
}

func archives() []Scenario {
	return scenarios("events",
		Scenario{Name: "an archive is made, described, changed and deleted", play: func(r *run) {
			bus := r.bus()
			name := r.archive(bus)
			which := &eventbridge.DescribeArchiveInput{ArchiveName: name}
			r.see(r.events.CreateArchive(r.ctx, &eventbridge.CreateArchiveInput{ArchiveName: name, EventSourceArn: r.busARN(bus)}))
			r.see(r.events.DescribeArchive(r.ctx, which))
			r.see(r.events.UpdateArchive(r.ctx, &eventbridge.UpdateArchiveInput{ArchiveName: name, RetentionDays: new(int32(9)), Description: str("some")}))
			r.see(r.events.DescribeArchive(r.ctx, which))
			r.see(r.events.ListArchives(r.ctx, &eventbridge.ListArchivesInput{NamePrefix: name}))
			r.see(r.events.DeleteArchive(r.ctx, &eventbridge.DeleteArchiveInput{ArchiveName: name}))
			r.see(r.events.DescribeArchive(r.ctx, which))
			r.see(r.events.DeleteArchive(r.ctx, &eventbridge.DeleteArchiveInput{ArchiveName: name}))
		}},
		Scenario{Name: "archives are checked", play: func(r *run) {
			arn := r.busARN(r.bus())
			for _, in := range []*eventbridge.CreateArchiveInput{
				{ArchiveName: str(strings.Repeat("x", 49)), EventSourceArn: arn},
				{ArchiveName: str(r.name("pattern")), EventSourceArn: arn, EventPattern: str(`{"source":"shop"}`)},
				{ArchiveName: str(r.name("bus")), EventSourceArn: str(*arn + "-none")},
			} {
				r.see(r.events.CreateArchive(r.ctx, in))
			}
		}},
		Scenario{Name: "an archive is replayed", play: func(r *run) {
			bus, queue := r.bus(), r.queue("q")
			r.archive(bus)
			rule := r.rule(bus, "rule", anyPattern)
			arn := must(r.events.DescribeRule(r.ctx, &eventbridge.DescribeRuleInput{EventBusName: bus, Name: rule})).Arn
			from := time.Now().Add(-time.Minute)
			r.put(entry(bus, "shop", "X", `{"n":1}`)) // before the rule has a target
			r.route(bus, rule, "t", queue)
			in := &eventbridge.StartReplayInput{
				ReplayName: str(r.name("replay")), EventSourceArn: must(r.events.DescribeArchive(r.ctx, &eventbridge.DescribeArchiveInput{ArchiveName: str(r.name("archive"))})).ArchiveArn,
				EventStartTime: &from, EventEndTime: new(time.Now().Add(time.Minute)), Destination: &types.ReplayDestination{Arn: r.busARN(bus), FilterArns: []string{*arn}},
			}
			out, err := r.events.StartReplay(r.ctx, in)
			if err != nil {
				r.see(out, err)
				return
			}
			r.awaitEvent(queue)
			r.see(r.events.StartReplay(r.ctx, in))
			var replay *eventbridge.DescribeReplayOutput
			r.until("the replay is over", func() bool {
				replay = must(r.events.DescribeReplay(r.ctx, &eventbridge.DescribeReplayInput{ReplayName: in.ReplayName}))
				return replay.State == types.ReplayStateCompleted
			})
			r.note("replay", map[string]any{"ReplayName": replay.ReplayName, "State": replay.State, "Destination": replay.Destination, "EventSourceArn": replay.EventSourceArn})
			listed := must(r.events.ListReplays(r.ctx, &eventbridge.ListReplaysInput{NamePrefix: in.ReplayName}))
			r.note("listed", len(listed.Replays))
			r.see(r.events.CancelReplay(r.ctx, &eventbridge.CancelReplayInput{ReplayName: in.ReplayName}))
		}},
	)
}
