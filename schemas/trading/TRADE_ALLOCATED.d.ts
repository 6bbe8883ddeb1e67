// Code generated from the event types by go generate; DO NOT EDIT.

/** TradeAllocated: an executed trade was divided among portfolios. */
export interface TradeAllocated {
  /** TradeID names the trade. */
  tradeId: string;
  /** Instrument is an ISIN. */
  instrument: string;
  /** Side says whether the portfolios bought or sold. */
  side: Side;
  /**
   * ExecutedAt is when the trade was executed.
   * @format date-time
   */
  executedAt: string;
  /** Allocations are the parts, at least one. */
  allocations: Allocation[] | null;
}

/** Allocation is one portfolio's part of a trade. */
export interface Allocation {
  /** PortfolioID names the portfolio. */
  portfolioId: string;
  /** Quantity is in units of the instrument, always positive. */
  quantity: number;
}

/** Side says which way a trade went. */
export type Side =
  /** SideBuy is a purchase. */
  | "BUY"
  /** SideSell is a sale. */
  | "SELL";

/** trading/TRADE_ALLOCATED on the bus: what EventBridge calls its detail. */
export interface TradeAllocatedDetail {
  metadata: Metadata;
  data: TradeAllocated;
}

/** The part of the event as EventBridge delivers it that tells what it is. */
export interface TradeAllocatedEvent {
  source: "trading";
  "detail-type": "TRADE_ALLOCATED";
  detail: TradeAllocatedDetail;
}

/**
 * Metadata is what Penstock knows of an event besides its data. Empty fields other than ID,
 * CorrelationID and OccurredAt are left out on the wire.
 */
export interface Metadata {
  /** ID names this event for ever: a redelivery has the same. A UUIDv7. */
  id: string;
  /**
   * CorrelationID is shared by everything that one cause at the edge set off. It is the event's
   * own id where the context carries none.
   */
  correlationId: string;
  /** CausationID is the id of the event that was being handled when this one was made. */
  causationId?: string;
  /**
   * Depth is how many events caused one another before this one: 0 for an event that no other
   * caused. The handler runtime refuses what goes on for too long.
   * @asType integer
   */
  depth?: number;
  /** UserID and OrganisationID say on whose behalf it happened. */
  userId?: string;
  organisationId?: string;
  /**
   * OccurredAt is when the event was stamped, in UTC. There is no order of delivery: compare this.
   * @format date-time
   */
  occurredAt: string;
  /** Traceparent carries a W3C trace on ("Trace Context"). */
  traceparent?: string;
  /**
   * Code is the number of an event type that has one, see Coded.
   * @asType integer
   */
  code?: number;
}
