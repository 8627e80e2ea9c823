"""The page that the box shows on the site's LAN: server-rendered, English and Urdu, live, without the internet."""
