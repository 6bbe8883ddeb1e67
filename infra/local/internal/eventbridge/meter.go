package eventbridge

import "github.com/penstock-dev/penstock/infra/local/meter"

// charge counts a published event by its type, and what it is delivered to:
// billed are 64 KB pieces of it, whoever receives them ("Amazon EventBridge
// pricing", custom events).
func (s *Service) charge(e Entry, deliveries []delivery) {
	eventType := e.Source + "/" + e.DetailType
	s.config.Meter.Add(meter.Published, eventType, 1)
	s.config.Meter.Add(meter.CustomEvent, eventType, meter.Chunks(e.size()))
	for _, d := range deliveries {
		s.config.Meter.Add(meter.Delivery, d.Rule, 1)
	}
}
