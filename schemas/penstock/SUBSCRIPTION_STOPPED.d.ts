// Code generated from the event types by go generate; DO NOT EDIT.

/**
 * SubscriptionStopped: a subscription no longer receives. Its events go on queueing, and nothing
 * is lost as long as the queue keeps them.
 */
export interface SubscriptionStopped {
  /** Function is the function that subscribes. */
  function: string;
  /** Subscription is the subscription's name in the function's manifest. */
  subscription: string;
  /** Event is the type that it subscribes to, as in savings/SAVINGS_WITHDRAWAL. */
  event: string;
  /**
   * Since is when it was stopped.
   * @format date-time
   */
  since: string;
  /** By is who stopped it. */
  by: Actor;
  /** Person is the AWS identity of the person who stopped it, if one did. */
  person?: string;
  /** Reason says why, in a sentence for people. */
  reason: string;
  /** Failures is what the breaker measured, if it was the breaker. */
  failures?: Failures;
}

/** Actor is who stops or resumes a subscription. */
export type Actor =
  /** ActorBreaker is Penstock itself, which stops a subscription that fails. */
  | "BREAKER"
  /** ActorPerson is a person, with the command. */
  | "PERSON";

/** Failures is how a subscription failed before it was stopped. */
export interface Failures {
  /**
   * ErrorRate is the part of the events that failed, from 0 to 1.
   * @minimum 0
   * @maximum 1
   */
  errorRate: number;
  /**
   * Received counts the events that the function was given.
   * @minimum 0
   * @asType integer
   */
  received: number;
  /**
   * Failed counts those of them that it failed.
   * @minimum 0
   * @asType integer
   */
  failed: number;
  /**
   * WindowSeconds is the time over which they were counted.
   * @exclusiveMinimum 0
   * @asType integer
   */
  windowSeconds: number;
}

/** penstock/SUBSCRIPTION_STOPPED on the bus: what EventBridge calls its detail. */
export interface SubscriptionStoppedDetail {
  metadata: Metadata;
  data: SubscriptionStopped;
}

/** The part of the event as EventBridge delivers it that tells what it is. */
export interface SubscriptionStoppedEvent {
  source: "penstock";
  "detail-type": "SUBSCRIPTION_STOPPED";
  detail: SubscriptionStoppedDetail;
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
