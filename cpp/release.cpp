/*
 *  release.cpp
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "release.h"

#include <cmath>

#include "compose.hpp"
#include "exceptions.h"
#include "kernel_manager.h"
#include "random_manager.h"

namespace nest
{

namespace
{

// NEST tells its seed in a dictionary of all settings, which is too slow for every spike. C++ checks no access where a template is
// instantiated by hand.
template < uint32_t RandomManager::* member >
struct Opened
{
  friend uint32_t
  seed_of( const RandomManager& manager )
  {
    return manager.*member;
  }
};

uint32_t seed_of( const RandomManager& );

template struct Opened< &RandomManager::base_seed_ >;

}  // namespace

uint64_t
kernel_seed()
{
  return seed_of( kernel().random_manager );
}

void
Release::get_status( Dictionary& d ) const
{
  d[ "release_probability" ] = probability_;
  d[ "release_per_trial" ] = per_trial_;
}

void
Release::set_status( const Dictionary& d, const std::string& synapse )
{
  double p = probability_;
  d.update_value( "release_probability", p );
  if ( not( 0.0 < p and p <= 1.0 ) )
  {
    throw BadProperty(
      String::compose( "release_probability must be above 0, and 1 at most, got %1 (%2)", p, synapse ) );
  }
  d.update_value( "release_per_trial", per_trial_ );
  probability_ = p;
  bits_ = p < 1.0 ? static_cast< uint64_t >( std::ldexp( p, 64 ) ) : 0;
}

void
ReleaseKey::get_status( Dictionary& d ) const
{
  d[ "key" ] = key_;
}

void
ReleaseKey::set_status( const Dictionary& d, const std::string& synapse )
{
  long key = key_;
  if ( d.update_value( "key", key ) and key < 0 and key != key_ )
  {
    throw BadProperty( String::compose( "key must not be negative, got %1 (%2)", key, synapse ) );
  }
  key_ = key;
}

}  // namespace nest
