// Package cloudwatch is Amazon CloudWatch as the local environment runs it:
// metrics, metric math, and alarms with their actions. What it does not have is
// refused by name: metrics of less than a minute, composite alarms, anomaly
// detection, Metrics Insights.
//
// The life of a figure:
//
//  1. A service adds it to a series of package metric, a program calls
//     PutMetricData, or a function prints a line in the embedded metric format.
//  2. It belongs to the minute in which that happened, or to the one that the
//     caller says, and can be queried from then on.
//  3. When the minute ends, everything of it is written to the store in one
//     batch; what PutMetricData brings, before it answers. Of what was not put, a
//     kill -9 loses a minute at most.
//  4. Right after, gauges having been asked for that minute's last state, each
//     alarm is evaluated; one that changes its state acts.
//  5. After 15 days it is removed ("Amazon CloudWatch concepts", metrics
//     retention, has them go on as five minutes; these are not kept).
//
// [Service] is the core: it opens no socket. [Service.Operations] is its wire
// API.
package cloudwatch

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// Config says whose metrics a service keeps, and what its alarms act on.
type Config struct {
	Account string
	Region  string
	// Metrics is where the other services record.
	Metrics *metric.Registry
	// Functions, Topics and Events are what alarms act on; nil: alarms have no
	// such action.
	Functions Functions
	Topics    Topics
	Events    Events
	Logger    *slog.Logger
}

// Service holds the metrics and alarms of one account and region. It is safe
// for concurrent use. The zero value is not usable: call [New].
type Service struct {
	config     Config
	store      *store.Store
	data       *data
	stop       chan struct{}
	stopped    sync.Once
	background sync.WaitGroup

	mu       sync.Mutex        // held while an alarm is read, evaluated or changed, and saved
	alarms   map[string]*Alarm // by name; an alarm is replaced, never changed
	lastItem uint64            // the newest key of history
}

// New returns the service with the metrics and alarms that the store holds. They
// begin to be evaluated with [Service.Start].
func New(st *store.Store, config Config) (*Service, error) {
	s := &Service{config: config, store: st, stop: make(chan struct{}), alarms: map[string]*Alarm{}}
	var err error
	if s.data, err = openData(st, config.Metrics); err != nil {
		return nil, err
	}
	return s, s.loadAlarms()
}

// Start begins to collect metrics and to evaluate alarms, every minute.
func (s *Service) Start() { s.background.Go(s.everyMinute) }

// Stop ends what Start began, and returns when nothing runs any more.
func (s *Service) Stop() {
	s.stopped.Do(func() { close(s.stop) })
	s.background.Wait()
}

// Flush makes the metrics of the minute that has begun durable, as at the end.
func (s *Service) Flush() error { return s.data.flush(time.Now()) }

func (s *Service) everyMinute() {
	for {
		// Actions that an alarm could not take are tried again every minute.
		s.act()
		next := time.Now().Truncate(time.Minute).Add(time.Minute)
		timer := time.NewTimer(time.Until(next))
		select {
		case <-s.stop:
			timer.Stop()
			return
		case <-timer.C:
		}
		s.endMinute(next)
	}
}

func (s *Service) endMinute(end time.Time) {
	if err := s.data.endMinute(end); err != nil {
		s.config.Logger.Error("the metrics of a minute could not be written", "error", err)
	}
	s.evaluateAlarms(end)
}

// EndMinute ends the minute that has begun before its time is up, and evaluates
// the alarms: for tests of what an alarm does, which would wait for it otherwise.
// What happens until then belongs to the next minute.
func (s *Service) EndMinute() { s.endMinute(time.Now().Truncate(time.Minute).Add(time.Minute)) }

// ARN returns the ARN of the alarm with the given name.
func (s *Service) ARN(alarm string) string {
	return fmt.Sprintf("arn:aws:cloudwatch:%s:%s:alarm:%s", s.config.Region, s.config.Account, alarm)
}

// CustomMetrics is how many metrics with data points there are that are not
// those of AWS's services.
func (s *Service) CustomMetrics() int { return s.data.custom() }
