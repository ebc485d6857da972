/*
 *  packed_target.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_PACKED_TARGET_H
#define PYRAMIDAL_PACKED_TARGET_H

#include <cstdint>

#include "exceptions.h"
#include "nest_names.h"
#include "node.h"

namespace nest
{

/**
 * Target and receptor port of a connection in 8 bytes instead of NEST's 16, with 16 bits to spare.
 *
 * On the 64-bit systems that NEST runs on, the upper 16 bits of a pointer are 0, and a cell lies at a multiple of 8.
 * A pointer for which that does not hold is refused.
 */
class PackedTarget
{
public:
  void
  get_status( Dictionary& d ) const
  {
    if ( const Node* const target = get_target_ptr( 0 ) )  // not the prototype of a model
    {
      d[ names::rport ] = static_cast< long >( get_rport() );
      d[ names::target ] = static_cast< long >( target->get_node_id() );
    }
  }

  Node*
  get_target_ptr( const size_t ) const
  {
    return reinterpret_cast< Node* >( word_ & pointer_bits_ );
  }

  size_t
  get_rport() const
  {
    return word_ & port_bits_;
  }

  void
  set_target( Node* const target )
  {
    const uint64_t bits = reinterpret_cast< uint64_t >( target );
    if ( ( bits & ~pointer_bits_ ) != 0 )
    {
      throw KernelException( "dendritic_error_synapse cannot store addresses of this system" );
    }
    word_ = ( word_ & ~pointer_bits_ ) | bits;
  }

  void
  set_rport( const size_t port )
  {
    if ( port > port_bits_ )
    {
      throw KernelException( "dendritic_error_synapse can store receptor ports up to 7 only" );
    }
    word_ = ( word_ & ~port_bits_ ) | port;
  }

  //! 16 bits for the connection's own use.
  uint64_t
  spare() const
  {
    return word_ >> spare_shift_;
  }

  void
  set_spare( const uint64_t value )
  {
    word_ = ( word_ & ( ( uint64_t( 1 ) << spare_shift_ ) - 1 ) ) | ( value << spare_shift_ );
  }

private:
  static constexpr int spare_shift_ = 48;
  static constexpr uint64_t port_bits_ = 7;
  static constexpr uint64_t pointer_bits_ = ( ( uint64_t( 1 ) << spare_shift_ ) - 1 ) & ~port_bits_;

  uint64_t word_ = 0;
};

}  // namespace nest

#endif
