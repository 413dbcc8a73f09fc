// Works off a stream; what fails too often goes to dead.orders. nex run examples/orders.yaml
export default (subject, payload, ctx) => {
  const { item, count } = payload.json();
  if (!(count > 0)) throw new RangeError(`order ${ctx.trigger.sequence} of ${item} has no count`);
  console.log(`order ${ctx.trigger.sequence}: ${count} × ${item}`);
};
