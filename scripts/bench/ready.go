package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// readiness measures how soon an environment of 20 functions with a
// subscription each is there, and what memory it takes when it has nothing to do.
func readiness(ctx context.Context, b *bench) error {
	var recorders []recorder
	for i := range 20 {
		recorders = append(recorders, recorder{fmt.Sprintf("function-%02d", i+1), 10, 0})
	}
	fleet, err := b.newFleet(recorders...)
	if err != nil {
		return err
	}
	var took, idle, peak []float64
	for round := range b.scale.rounds + 1 {
		began := time.Now()
		dev, err := fleet.dev(ctx, b)
		if err != nil {
			return err
		}
		ready := time.Since(began)
		settled := pause(ctx, 2*time.Second)
		resident, err := memory(dev.PID(), "VmRSS")
		most, err2 := memory(dev.PID(), "VmHWM")
		_ = dev.Signal(os.Interrupt)
		switch {
		case !settled:
			return ctx.Err()
		case err != nil:
			return err
		case err2 != nil:
			return err2
		}
		if round > 0 { // the first one builds the programs
			took, idle, peak = append(took, ready.Seconds()), append(idle, resident), append(peak, most)
		}
	}
	b.note("  the most memory that it has had: %s MB", figure(quantile(peak, 0.5)))
	b.report.add(
		result{Name: "ready", Value: quantile(took, 0.5), Unit: "s", Goal: "< 1"},
		result{Name: "idle_memory", Value: quantile(idle, 0.5), Unit: "MB", Goal: "< 80"},
	)
	return nil
}

// memory reads a figure of a process in MB.
func memory(pid int, name string) (float64, error) {
	file := fmt.Sprintf("/proc/%d/status", pid)
	text := strings.TrimSuffix(valueOf(file, name, ":"), " kB")
	kB, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%s of process %d: %s says %q (it is measured on Linux only)", name, pid, file, text)
	}
	return kB * 1024 / 1e6, nil
}
