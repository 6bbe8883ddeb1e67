// Code generated from the event types by go generate; DO NOT EDIT.

/** TradeExecuted: an order was executed on the market, in one part or several. */
export interface TradeExecuted {
  /** TradeID names the trade. */
  tradeId: string;
  /** OrderID names the order that it executes; null for a trade that was agreed by telephone. */
  orderId: string | null;
  /** Instrument is what was traded. */
  instrument: Instrument;
  /** Side says whether it was bought or sold. */
  side: Side;
  /** Fills are the parts, at least one. */
  fills: Fill[] | null;
  /** Charges are the costs beside the price, by kind. */
  charges?: Record<string, Amount>;
  /**
   * SettlesOn is the day on which money and instrument change hands.
   * @format date
   */
  settlesOn: string;
  /** Notes are a trader's own. */
  notes?: string[];
}

/**
 * Amount is an amount of money. It may be negative. The zero value is nothing of no currency,
 * which is not valid in an event.
 */
export interface Amount {
  /**
   * MinorUnits counts the currency's smallest unit: cents of EUR, whole JPY. A filter compares
   * numbers from -5.0e9 to +5.0e9 only ("Comparison operators for use in event patterns in Amazon
   * EventBridge").
   * @asType integer
   */
  minorUnits: number;
  /**
   * Currency is an ISO 4217 code.
   * @pattern ^[A-Z]{3}$
   */
  currency: string;
}

/** Class is a kind of instrument. */
export type Class =
  /** ClassShare is a part of a company. */
  | "SHARE"
  /** ClassBond is a debt. */
  | "BOND"
  /** ClassFund is a share of a fund. */
  | "FUND";

/** Fill is one part of an executed trade. */
export interface Fill {
  /**
   * Venue is the market, an ISO 10383 code.
   * @pattern ^[A-Z0-9]{4}$
   */
  venue: string;
  /**
   * Quantity is in units of the instrument, always positive.
   * @exclusiveMinimum 0
   */
  quantity: number;
  /** Price is for one unit. */
  price: Amount;
  /**
   * ExecutedAt is when the market executed it.
   * @format date-time
   */
  executedAt: string;
}

/** Instrument is what can be traded. */
export interface Instrument {
  /**
   * ISIN names it (ISO 6166).
   * @pattern ^[A-Z]{2}[A-Z0-9]{9}[0-9]$
   */
  isin: string;
  /** Name is for people. */
  name: string;
  /** Class says what it is. */
  class: Class;
}

/** Side says which way a trade went. */
export type Side =
  /** SideBuy is a purchase. */
  | "BUY"
  /** SideSell is a sale. */
  | "SELL";

/** trading/TRADE_EXECUTED on the bus: what EventBridge calls its detail. */
export interface TradeExecutedDetail {
  metadata: Metadata;
  data: TradeExecuted;
}

/** The part of the event as EventBridge delivers it that tells what it is. */
export interface TradeExecutedEvent {
  source: "trading";
  "detail-type": "TRADE_EXECUTED";
  detail: TradeExecutedDetail;
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
