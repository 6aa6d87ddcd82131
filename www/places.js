// Where the demo's replicas stand and how far apart they are. Plain data: the world builds its links from it, the map
// draws it. Distances are parts of the lag slider, so that a message can overtake another on a shorter road.

/** The three edges; x and y are places on the map's 640 × 300 picture. */
export const EDGES = [
  { id: 'oregon', name: 'Oregon', x: 92, y: 118 },
  { id: 'paris', name: 'Paris', x: 318, y: 96 },
  { id: 'tokyo', name: 'Tokyo', x: 548, y: 122 },
];

/** This tab: a client replica that hangs off its home edge. */
export const TAB = { id: 'tab', name: 'This tab' };

export const PLACES = [...EDGES, TAB];

/** Links between edges: `share` is the part of the lag that a message takes, `bend` how far the drawn road swings out. */
export const LINKS = [
  { name: 'oregon-paris', ends: ['oregon', 'paris'], share: 0.6, bend: -62 },
  { name: 'paris-tokyo', ends: ['paris', 'tokyo'], share: 1, bend: -62 },
  { name: 'oregon-tokyo', ends: ['oregon', 'tokyo'], share: 0.45, bend: 112 },
];

/** The name of a place for people. */
export const nameOf = (id) => PLACES.find((place) => place.id === id)?.name ?? id;

/** `tokyo~7k2m…` is for machines; the label in front of the tilde is for people. */
export const labelOf = (replica) => replica.slice(0, replica.indexOf('~') >>> 0);
