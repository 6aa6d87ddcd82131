// The frame of every page.
export const metadata = { title: 'edge-session through Next', icons: { icon: 'data:,' } };

export default function Layout({ children }) {
  return <html lang="en"><body>{children}</body></html>;
}
